// Package core implements the protocol of one interface as a pure machine: the
// handshakes, keys and timers of all peers, and the configuration. It opens
// nothing, starts no goroutine, reads no clock and draws no random numbers.
//
// # How to drive it
//
// Only one goroutine at a time may call a Machine. Each call passes the time and
// something that has happened; then the caller polls the outputs:
//
//	m.Receive(now, from, msg)           // or any other method with a now
//	for out, ok := m.Poll(); ok; out, ok = m.Poll() {
//		switch out.Kind {
//		case core.Send: …               // out.Message to out.Endpoint
//		case core.Run:  …               // out.Job.Run() somewhere, then m.Finish(now, out.Job)
//		…
//		}
//	}
//	wake := m.NextTimeout()             // then call m.Timeout
//
// The inputs are Apply (a change of configuration), Up and Down, Receive
// (messages of types 1 to 3 that have passed package cookie), Finish (a job is
// done), Timeout, NetworkChanged (packets to a peer leave another way), and three
// notes of the data plane: Want (a session is needed), Confirm (first data on the
// next session) and Wake (a deadline has become earlier). The caller carries out
// the outputs; only Run needs an answer.
//
// The machine does not see data messages. It publishes what the data plane needs
// in each peer.Peer, in the index.Table and in Routes; the data plane records in
// peer.Peer when it sent and received, and the machine reads these times.
//
// # Jobs
//
// The machine computes no Diffie-Hellman itself. It emits a Job with copies of
// everything that the work needs, and decides nothing until the job comes back.
// Meanwhile the peer may have been removed, a key changed, the interface brought
// down, a newer initiation accepted, or the handshake replaced. Therefore finish
// compares again whatever was compared before, when it writes (A12, B25).
//
//	creation        makes our initiation                            → Send
//	identification  finds the peer of an initiation                 → answer
//	answer          authenticates it, makes our response            → Send, Accepted
//	completion      authenticates a response to our initiation      → Flush
//
// If there is no peer with the key of an initiation, but a program that may add one, the
// initiation is kept in an unknown.Table. When Apply adds the peer, it is identified
// again, and treated as if it had just arrived.
//
// No message changes a stamp, an endpoint or an index before its last AEAD has
// passed (A7). Several responses may be tried on one initiation at once; none of
// them changes it until one is authenticated (A13).
//
// # A peer's handshake as initiator
//
//	            wanted ◀───────── Want, no reply, persistent keepalive
//	              │ RekeyTimeout has passed since our last message
//	              ▼
//	┌────▶ own: being made (job)
//	│             │ Finish
//	│             ▼
//	│      own: initiation sent ───── response ────▶ new current session
//	│             │ RekeyTimeout and jitter
//	└─────────────┤
//	              │ after RekeyAttemptTime/RekeyTimeout attempts
//	              ▼
//	          given up: staged packets purged; new traffic starts again
//
// The responder has no states: a good initiation makes the next session at once,
// and the first data on it makes it current. So the two roles share no variable
// (A16, B36); see sessions.go for what happens if both ends initiate at once.
//
// # Timers
//
// There are no timers. Each peer has a list of duties (timers.go): when one is
// due follows from comparing times. The earliest of these is the peer's NextLook;
// a heap holds the next looks of all peers. Traffic moves the times later without
// a notification; the look then finds nothing due, and sets the next look.
//
// # Stamps
//
// The machine emits each accepted stamp as Accepted, so that the stamps survive
// restarts (A21). Our own stamps never go back, whatever the wall clock does:
// Reserve announces a ceiling, which must be durable before the stamps reach it.
// It is emitted early, so that no message waits for the disk (A20). Options passes
// both to the next machine.
package core
