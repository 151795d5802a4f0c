// Package lanes decides how many goroutines and queues process the packets of one
// direction, out or in, and how many processors Go has for that.
//
//	one direction of packets
//
//	┌ queue group: one lane per queue ───────────────────────────────────────────┐
//	│                                                                            │
//	│ ┌ lane 0 ────────────────────────────────────────────────────────────────┐ │
//	│ │          read lock              at the same time    sequencer          │ │
//	│ │          one goroutine a time                       ticket by ticket   │ │
//	│ │                                                                        │ │
//	│ │          ┌─ leader ─────────────── Work ──────────┐                    │ │
//	│ │ queue 0 ─┼─ follower ───────────── Work ──────────┼─ Finish ──────────────────▶
//	│ │          └─ follower ───────────── Work ──────────┘                    │ │
//	│ │             Read, Prepare,                                             │ │
//	│ │             draw a ticket                                              │ │
//	│ └────────────────────────────────────────────────────────────────────────┘ │
//	│ ┌ lane 1 ────────────────────────────────────────────────────────────────┐ │
//	│ │ queue 1 ─── leader, followers: as in lane 0                            ─────▶
//	│ └────────────────────────────────────────────────────────────────────────┘ │
//	└────────────────────────────────────────────────────────────────────────────┘
//
//	spread policy  how many followers a lane has     ┐ each is a hill climber: it tries
//	queue scaler   how many queues the group has     ┘ one more, and keeps it if it pays
//	governor       how many processors Go has: one while one suffices, otherwise all
//
// A queue is one of the interface, or a socket of one address family on the port.
// Where there is one queue only, it has a lane without a group. Without a backlog a
// lane has no followers. Its leader then keeps the read lock, draws no tickets, and
// calls Read, Prepare, Work and Finish one after the other.
//
// A Runner has all lanes of one engine. The engine gives it each Source, or Queues,
// and the Handlers that know what a batch is.
package lanes
