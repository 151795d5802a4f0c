// Package dataplane moves packets from the interface to the sockets and back, one
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
// A job is one batch in progress. The second call does most of the work. Several
// goroutines may make it at the same time, each with a job of its own, and the
// caller keeps the other two in order. A single goroutine makes all three in turn
// (Encapsulate, Decapsulate).
//
// The first call reports whether the job has taken all of its batch. If not, the
// last call processes the rest, while no other job is in progress. That happens
// with a batch that is longer than a job, or with packets that wait for a session.
//
// State that passes from one job to the next is in the Encapsulator or Decapsulator.
// There is one for each queue of the interface and one for each socket. Their fields
// state which call uses them. Shared is what all of them have in common.
//
// Nothing is allocated and no lock is taken per packet. The lookup of the session,
// the reservation of counters and the notes about activity and bytes are done once
// for successive packets of a batch that have the same session: a section. All
// sections of a job are sealed or opened in one call, so packets of different peers
// that are equally long are processed together.
// What this package knows of the protocol it reads from package peer and package
// index; what core must act on, it posts through Notes.
package dataplane
