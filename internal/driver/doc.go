// Package driver joins the protocol machine of package core to a process that
// runs it. It decides what does not depend on how that process is built:
//
//	Admission   whether a handshake message is worth a place in a queue
//	Deferred    handshake messages for which a reader had no time yet
//	Inbox       what waits for the machine, and how much of it may
//	Jobs        the order of Diffie-Hellman jobs, and how many messages
//	            the machine is given while they run
//	Delivery    what the machine is told at once, and in which order
//	CarryOut    what each output of the machine means
//
// Nothing here starts a goroutine, takes a lock or reads a clock. Package engine
// adds these for a real interface; package sim runs the same code in virtual
// time, so that what is tested there is what runs.
//
// The tests of package core do not use it: they look into the machine, which
// only a test inside that package can do, and such a test cannot import what
// imports core. Their hosts have neither queues nor a data plane.
package driver
