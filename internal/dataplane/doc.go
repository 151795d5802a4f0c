// Package dataplane takes packets from the interface to the sockets and back, a
// batch at a time: Encapsulator on the way out, Decapsulator on the way in.
//
// On the way out there are three calls for each batch:
//
//	in the order of reading      in any order       in the order of reading
//
//	Encapsulator.Prepare   ──▶   SealJob.Seal   ──▶   Encapsulator.Send
//	look up peers                segment              send
//	reserve counters             seal                 note
//
// A SealJob is one batch under way. The middle step is most of the work, and
// several goroutines do it at once, each with a SealJob of its own; the caller
// sees to the order of the others. A single goroutine makes the three calls one
// after the other. Where the order matters for the rest of a batch as well,
// because packets wait for a session, Prepare says that it has not taken all,
// and Send does the rest, while no other job is under way.
//
// Nothing is allocated and no lock is taken per packet. Lookup of the session,
// reservation of counters, the notes about activity and bytes are paid once per
// batch and peer. What this package knows of the protocol it reads from package
// peer and package index; what core must act on, it posts through Notes.
package dataplane
