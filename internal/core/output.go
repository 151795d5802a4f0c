package core

import (
	"slices"
	"time"

	"wgd/internal/clock"
	"wgd/internal/peer"
	"wgd/internal/unknown"
	"wgd/internal/wire"
	"wgd/internal/x25519"
	"wgd/key"
)

// Kind is the kind of an output.
type Kind uint8

// The kinds of output.
const (
	Send      Kind = iota + 1 // send Message, a handshake message, to Endpoint with TOS 0x88 (A56)
	Run                       // run Job on any core, then pass it to Finish
	Flush                     // Peer has a new current session: send its staged packets, or else a keepalive (A34)
	Keepalive                 // send a keepalive on Peer's current session
	Probe                     // send the frame Message on Peer's current session, in a datagram of Size bytes with DF, or, if Size is 0, in an ordinary one
	Purge                     // drop Peer's staged packets
	Reserve                   // make the ceiling Stamp durable (A20)
	Accepted                  // save Stamp as the greatest received from PublicKey (A21)
	Forget                    // forget the stamp of PublicKey
	Release                   // send Packets, which have waited for Peer to be added
	Log                       // write Event to the log
)

// An Output is what the machine wants done. The caller of Poll owns Message, and
// counts it as sent to Peer if it sends it.
type Output struct {
	Kind      Kind
	Peer      *peer.Peer
	PublicKey key.Public // that of Peer, if set
	Name      string     // that of Peer, for logs; "": none
	Endpoint  wire.Endpoint
	Message   []byte
	Size      int
	Job       *Job
	Packets   []unknown.Packet
	Stamp     wire.TAI64N // with SessionBegun if Peer initiated, and with Returned: the greatest received from it

	// With Log, and with Send of an initiation.
	Event             Event
	Cause             Cause
	Why               string        // with NameNotFound
	Attempt, Attempts int           // the initiation is number Attempt of at most Attempts
	After             time.Duration // since our initiation or response; with GivenUp, since the first initiation; with PeerBack, since PeerQuiet
	Initiator         bool          // we initiated the session
	Renewed           bool          // there was a session that still worked
}

// A Job is Diffie-Hellman work. It has copies of everything it needs, so that it
// may be run once, on any goroutine, at the same time as anything else.
type Job struct{ work work }

type work interface {
	// products returns how many products the work needs at the same time.
	products() int
	// step does all work up to the next products that it needs, and returns them.
	// It returns none when the work is done.
	step() []*x25519.Product
	// finish applies the result, after checking it against the current state.
	finish(m *Machine, now clock.Now)
	// discard returns what the job borrowed, and erases its secrets.
	discard(m *Machine)
}

// Run does the work of one job.
func (j *Job) Run() { RunTogether([]*Job{j}) }

// Products returns how many products of Diffie-Hellman the job needs, about.
func (j *Job) Products() int { return j.work.products() }

// RunTogether does the work of several jobs. It computes the products that they need
// at the same time together.
func RunTogether(jobs []*Job) {
	var list []*x25519.Product
	for waiting := slices.Clone(jobs); len(waiting) > 0; {
		list = list[:0]
		waiting = slices.DeleteFunc(waiting, func(j *Job) bool {
			products := j.work.step()
			list = append(list, products...)
			return len(products) == 0
		})
		x25519.Multiply(list)
	}
}

// Finish takes back a job that has been run.
func (m *Machine) Finish(now clock.Now, j *Job) { j.work.finish(m, now) }

// Discard takes back a job that will not be run (A35).
func (m *Machine) Discard(j *Job) { j.work.discard(m) }

// Initiates reports whether the job makes an initiation of ours. All other jobs
// work on received messages. Neither kind must delay the other.
func (j *Job) Initiates() bool {
	_, ok := j.work.(*creation)
	return ok
}

// start emits a job that does w.
func (m *Machine) start(w work) { m.emit(Output{Kind: Run, Job: &Job{work: w}}) }
