package core

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// Kind of output.
type Kind uint8

// What the machine wants done.
const (
	Send      Kind = iota + 1 // send Message, a handshake message, to Endpoint with TOS 0x88 (A56)
	Run                       // run Job on any core, then give it to Finish
	Flush                     // Peer has a new current session: send what is staged, or else a keepalive (A34)
	Keepalive                 // send a keepalive on Peer's current session
	Purge                     // drop Peer's staged packets
	Reserve                   // make the stamp ceiling Stamp durable (A20)
	Accepted                  // note Stamp as the greatest received from PublicKey (A21)
	Forget                    // forget PublicKey's stamps
	Tell                      // nothing is to be done: Event has happened, for a log
)

// Output of Poll. Whoever polls it owns Message, and counts it as sent to Peer if
// it was.
type Output struct {
	Kind      Kind
	Peer      *peer.Peer
	PublicKey key.Public // that of Peer, where there is one
	Name      string     // of Peer, for people; "": it has none
	Endpoint  wire.Endpoint
	Message   []byte
	Job       *Job
	Stamp     wire.TAI64N

	// For people, with Tell, and with Send of an initiation.
	Event             Event
	Cause             Cause
	Attempt, Attempts int           // the initiation is number Attempt of at most Attempts
	After             time.Duration // since our initiation or response; with GivenUp, since the first initiation
	Initiator         bool          // the session is that of our initiation
}

// Job is Diffie-Hellman work. It has copies of all it needs, so that Run may
// be called on any goroutine, once, beside anything else.
type Job struct{ work work }

type work interface {
	run()
	// finish decides, with the state of this moment, what comes of the work.
	finish(m *Machine, now clock.Now)
	// discard gives back what was lent, and erases what is secret.
	discard(m *Machine)
}

// Run does the work. It takes some tens of microseconds.
func (j *Job) Run() { j.work.run() }

// Finish takes back a job that was run.
func (m *Machine) Finish(now clock.Now, j *Job) { j.work.finish(m, now) }

// Discard takes back a job that was not run and is not going to be (A35).
func (m *Machine) Discard(j *Job) { j.work.discard(m) }

// Initiates reports whether the job makes an initiation of ours. All others are
// work on messages that came in, and neither kind may keep the other waiting.
func (j *Job) Initiates() bool {
	_, ok := j.work.(*creation)
	return ok
}

// start emits the job of doing w.
func (m *Machine) start(w work) { m.emit(Output{Kind: Run, Job: &Job{work: w}}) }
