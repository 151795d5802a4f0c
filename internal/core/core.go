// Package core is the whole protocol of one interface as a pure machine.
package core

import (
	"io"
	"sync/atomic"

	"wgd/conf"
	"wgd/internal/allowedips"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
	"wgd/key"
)

// Options of a Machine.
type Options struct {
	Rand  io.Reader
	Index *index.Table
	// What the last process left behind (A20, A21).
	Ceiling  wire.TAI64N                // no own stamp at or below it
	Received map[key.Public]wire.TAI64N // greatest accepted from each
}

// Machine is the protocol of one interface. It is not safe for concurrent use.
type Machine struct{}

func New(o Options) *Machine { panic("contract") }

// In.
func (m *Machine) Apply(now clock.Now, c conf.Change) error                { panic("contract") }
func (m *Machine) Up(now clock.Now)                                        { panic("contract") }
func (m *Machine) Down(now clock.Now)                                      { panic("contract") }
func (m *Machine) Receive(now clock.Now, from wire.Endpoint, msg []byte)   { panic("contract") }
func (m *Machine) Finish(now clock.Now, j *Job)                            { panic("contract") }
func (m *Machine) Want(now clock.Now, p *peer.Peer)                        { panic("contract") }
func (m *Machine) Confirm(now clock.Now, p *peer.Peer, k *session.Keypair) { panic("contract") }
func (m *Machine) Wake(now clock.Now, p *peer.Peer)                        { panic("contract") }
func (m *Machine) Timeout(now clock.Now)                                   { panic("contract") }

// Out.
func (m *Machine) Poll() (Output, bool)             { panic("contract") }
func (m *Machine) NextTimeout() clock.Time          { panic("contract") }
func (m *Machine) Status(now clock.Now) conf.Status { panic("contract") }

// Routes, shared with the data plane; never nil inside.
func (m *Machine) Routes() *atomic.Pointer[allowedips.Table[*peer.Peer]] { panic("contract") }
func (m *Machine) Peers() []*peer.Peer                                   { panic("contract") }
func (m *Machine) PrivateKey() key.Private                               { panic("contract") }
func (m *Machine) PublicKey() key.Public                                 { panic("contract") }
func (m *Machine) ListenPort() uint16                                    { panic("contract") }
func (m *Machine) SetListenPort(port uint16)                             { panic("contract") }
func (m *Machine) FirewallMark() uint32                                  { panic("contract") }
func (m *Machine) Tunables() conf.Tunables                               { panic("contract") }
func (m *Machine) LastStamp() wire.TAI64N                                { panic("contract") }
func (m *Machine) Close()                                                { panic("contract") }

// Kind of output.
type Kind uint8

const (
	Send      Kind = iota + 1 // send Message (a handshake message or cookie reply) to Endpoint with TOS 0x88
	Run                       // run Job on any core, then give it to Finish
	Flush                     // Peer has a new current session: send what is staged, or else a keepalive
	Keepalive                 // send a keepalive on Peer's current session
	Purge                     // drop Peer's staged packets
	Reserve                   // make the stamp ceiling Stamp durable (A20)
	Accepted                  // note Stamp as the greatest received from PublicKey (A21)
	Forget                    // forget PublicKey's stamps
)

// Output of Poll.
type Output struct {
	Kind      Kind
	Peer      *peer.Peer
	Endpoint  wire.Endpoint
	Message   []byte
	Job       *Job
	PublicKey key.Public
	Stamp     wire.TAI64N
}

// Job is Diffie-Hellman work; Run may be called on any goroutine.
type Job struct{}

func (j *Job) Run() { panic("contract") }
