// Package dataplane takes packets from the interface to the sockets and back, a
// batch at a time. Each direction is one type, with three calls for each batch:
//
//	       in the order of reading      in any order       in the order of reading
//
//	       Encapsulator.Prepare   ──▶   SealJob.Seal  ──▶   Encapsulator.Send
//	out    look up peers                segment             send
//	       reserve counters             seal                note
//
//	       Decapsulator.Prepare   ──▶   OpenJob.Open  ──▶   Decapsulator.Deliver
//	in     sort by session              authenticate        accept counters, note
//	       hand on handshakes           decrypt             check, join, write
//
// A job is one batch under way. The middle call is most of the work. Several
// goroutines make it at once, each with a job of its own, and the caller keeps
// the other two in order. A single goroutine makes all three one after the other
// (Encapsulate, Decapsulate).
//
// The first call reports whether the job has taken all of its batch. If not, the
// last call does the rest, while no other job is under way: of a batch that is
// longer than a job, and of one with packets that have to wait for a session.
//
// What one job leaves to the next is in the Encapsulator or the Decapsulator.
// There is one for each queue of the interface and each socket, and its fields say
// which call uses them. Shared is what all of them have in common.
//
// Nothing is allocated and no lock is taken per packet. The lookup of the session,
// the reservation of counters and the notes about activity and bytes are paid once
// for all packets of a batch that have the same session and follow each other.
// What this package knows of the protocol it reads from package peer and package
// index; what core must act on, it posts through Notes.
package dataplane
