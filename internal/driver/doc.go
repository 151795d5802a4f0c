// Package driver joins the protocol machine of package core to a process that
// runs it. It contains the decisions that do not depend on how that process is
// built:
//
//	Admission   whether a handshake message may enter a queue
//	Deferred    handshake messages whose checks a reader has postponed
//	Inbox       the machine's queued input, and its limits
//	Jobs        the order of Diffie-Hellman jobs, and how many messages
//	            the machine may receive while they run
//	Delivery    one batch of input for the machine, and its order
//	CarryOut    the effect of each output of the machine
//
// Nothing here starts a goroutine, takes a lock or reads a clock. Package engine
// adds these for a real interface; package sim runs the same code in virtual
// time, so its tests cover the code that runs in production.
//
// The tests of package core do not use this package: they read the machine's
// unexported state, so they are inside package core and cannot import a package
// that imports it. Their hosts have neither queues nor a data plane.
package driver
