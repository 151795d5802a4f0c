// Package core is the whole protocol of one interface as a pure machine: every
// peer's handshakes, keys, timers and configuration. It opens nothing, starts
// no goroutine, reads no clock and rolls no dice.
//
// # How to drive it
//
// One goroutine at a time calls a Machine. Each call gives it the time and
// something that happened; then what it wants done is drained from it:
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
// In come: Apply (a change of configuration), Up and Down, Receive (messages of
// type 1 to 3; whether they are worth it was decided before, by package
// cookie), Finish (a job is done), Timeout, and three notes of the data plane:
// Want (a session is needed), Confirm (first data on the next session), Wake (a
// deadline came nearer). Outputs are only carried out; none needs an answer but
// Run.
//
// Data messages never come here. What they need is published in each
// peer.Peer, in the index.Table, and in Routes; what they mean for the protocol
// is noted in peer.Peer as times, and read from there.
//
// # Jobs
//
// The machine does no Diffie-Hellman itself. It emits a Job with copies of all
// that the work needs, and decides nothing until the job comes back. By then
// the peer may be gone, the private or preshared key another one, the
// interface down, a newer initiation accepted, the handshake replaced: so what
// was compared before is compared again in finish, where it is written (A12,
// B25).
//
//	creation        our initiation                                  → Send
//	identification  whose initiation is this?                       → answer
//	answer          is it his, is its stamp new? our response       → Send, Accepted
//	completion      is this the response to our initiation?         → Flush
//
// Nothing is written for a message before its last AEAD has passed (A7): not a
// stamp, not an endpoint, not an index. Several responses may be tried on one
// initiation at once; none of them touches it until one is proven (A13).
//
// # A peer's handshake as initiator
//
//	            wanted ◀───────── Want, no reply, persistent keepalive
//	              │ the gap of RekeyTimeout since our last message is over
//	              ▼
//	┌────▶ own: being made (job)
//	│             │ Finish
//	│             ▼
//	│      own: initiation sent ───── response ────▶ new current session
//	│             │ RekeyTimeout and jitter
//	└─────────────┤
//	              │ after RekeyAttemptTime/RekeyTimeout attempts
//	              ▼
//	          given up: staged packets purged; new traffic begins anew
//
// The responder's side has no states: a good initiation makes the next session
// at once, and the first data on it makes that current. So initiator and
// responder never meet in one variable (A16, B36); see sessions.go for what
// happens when both ends begin at once.
//
// # Timers
//
// There are none. For each peer there is a list of duties (timers.go): when one
// is owed follows from comparing times. The earliest of these moments is the
// peer's NextLook; a heap holds the next looks of all peers. Traffic moves the
// moments later without telling anybody; the look then finds nothing due, and
// sets the next one.
//
// # Stamps
//
// Each accepted stamp is put out as Accepted, to be remembered over restarts
// (A21). Our own never go below one sent, whatever the wall clock does: Reserve
// announces a ceiling that must be durable before the stamps get there, and it
// comes early, so that nobody waits for a disk (A20). Options has both back.
package core
