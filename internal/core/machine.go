package core

import (
	"io"
	"sync/atomic"

	"wgd/conf"
	"wgd/internal/allowedips"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/observe"
	"wgd/internal/peer"
	"wgd/internal/unknown"
	"wgd/internal/wire"
	"wgd/key"
)

// Options are the options of a Machine.
type Options struct {
	Rand  io.Reader    // source of random bytes; seeded in tests
	Index *index.Table // shared with the data plane; only the Machine writes it
	// What the previous process left behind (A20, A21).
	Ceiling  wire.TAI64N                // no own stamp may be at or below it
	Received map[key.Public]wire.TAI64N // greatest stamp accepted from each peer; New copies it

	// Unknown keeps initiations of peers that may be added soon; nil: none are kept.
	Unknown *unknown.Table

	// Resolver follows the names of endpoints; nil: names are kept but not followed.
	Resolver Resolver
}

// Routes maps inner addresses to peers.
type Routes = allowedips.Table[*peer.Peer]

// A Machine is the protocol of one interface. It is not safe for concurrent use.
type Machine struct {
	key.Hidden
	random   io.Reader
	index    *index.Table
	common   *peer.Common
	resolver Resolver
	unknown  *unknown.Table
	routes   atomic.Pointer[Routes]

	up       bool
	refused  int // handshake messages refused since TakeRefused
	tunables conf.Tunables
	port     uint16
	mark     uint32
	keepMSS  bool
	private  key.Private
	identity *identity // nil without a private key

	goneRx     uint64 // bytes from peers that have been removed
	goneTx     uint64 // bytes to them
	members    map[key.Public]*member
	list       memberList
	names      map[string]*member // of those that have one
	looks      lookHeap
	lent       lentHeap
	lentLimit  uint32       // of len(lent); 0: none
	observed   observe.List // conf.UnknownKey
	stamps     stamps
	searches   map[*member]*search     // in progress
	silent     map[*member]*silentPath // those whose hosts answer no probes
	searchRate clock.Bucket

	outputs []Output // outputs[:polled] have been polled
	polled  int
}

// New returns the machine of an interface that is down and has no peers.
func New(o Options) *Machine {
	m := &Machine{
		random:   o.Rand,
		index:    o.Index,
		resolver: o.Resolver,
		unknown:  o.Unknown,
		tunables: conf.DefaultTunables(),
		members:  make(map[key.Public]*member),
		names:    make(map[string]*member),
		stamps:   newStamps(o.Ceiling, o.Received),
		searches: make(map[*member]*search),
		silent:   make(map[*member]*silentPath),
	}
	m.common = peer.NewCommon(timing(m.tunables))
	m.routes.Store((*Routes)(nil).Edit().Table())
	return m
}

// Up brings the interface up. Persistent keepalives and staged packets are due at
// once (A61).
func (m *Machine) Up(now clock.Now) {
	if m.up {
		return
	}
	m.up = true
	if m.resolver != nil {
		m.resolver.Resume()
	}
	m.reserveStamps(now)
	m.relend(now)
	for p := range m.list.all() {
		p.keepaliveOwed = p.shared.PersistentKeepalive() > 0
		p.wanted = p.shared.HasStaged()
		m.look(now, p)
	}
}

// Down brings the interface down: it stops timers, erases keys and handshakes, and
// purges staged packets (A35, A61). The configuration stays.
func (m *Machine) Down(clock.Now) {
	if !m.up {
		return
	}
	m.up = false
	if m.resolver != nil {
		m.resolver.Pause()
	}
	m.unknown.Clear()
	for p := range m.list.all() {
		m.quiet(p)
	}
}

// quiet resets p to the state of a peer without any handshake or traffic.
func (m *Machine) quiet(p *member) {
	m.dropOwn(p)
	m.endSearch(p)
	delete(m.silent, p)
	m.eraseSessions(p)
	p.shared.ForgetActivity()
	p.rekey = rekey{}
	p.forgetTrouble()
	p.connected, p.keepaliveOwed = false, false
	p.quietSince, p.handshakeSent, p.gapSkipped, p.keepaliveServed, p.completed = 0, 0, 0, 0, 0
	m.schedule(p, clock.Never)
	if p.shared.HasStaged() {
		m.emit(Output{Kind: Purge, Peer: p.shared})
	}
}

// Close erases all secrets (A35). Afterwards, only LastStamp may be called, and no
// Job may be running.
func (m *Machine) Close() {
	m.Down(clock.Now{})
	for p := range m.list.all() {
		p.erase()
	}
	if m.identity != nil {
		m.identity.static.Erase()
		m.identity = nil
	}
	m.private.Erase()
}

// Common returns what all peers of the interface share with the data plane.
func (m *Machine) Common() *peer.Common { return m.common }

// Routes returns the pointer to the routes, which the data plane shares; the table
// is never nil. Each Apply publishes at most one new table (A50).
func (m *Machine) Routes() *atomic.Pointer[Routes] { return &m.routes }

// PublicKey returns our public key, or zero if there is no private key.
func (m *Machine) PublicKey() key.Public {
	if m.identity == nil {
		return key.Public{}
	}
	return m.identity.static.Public()
}

// KeepMSS reports whether the MSS of TCP connections is left as it is.
func (m *Machine) KeepMSS() bool { return m.keepMSS }

// ListenPort returns the port as configured, or as set by SetListenPort.
func (m *Machine) ListenPort() uint16 { return m.port }

// SetListenPort records the port to which the sockets are bound.
func (m *Machine) SetListenPort(port uint16) { m.port = port }

// FirewallMark returns the mark of all packets sent (A53).
func (m *Machine) FirewallMark() uint32 { return m.mark }

// Tunables returns the current tunables.
func (m *Machine) Tunables() conf.Tunables { return m.tunables }

// emit queues an output for Poll.
func (m *Machine) emit(o Output) {
	if o.Peer != nil {
		p := o.Peer.Record().(*member)
		o.PublicKey, o.Name = p.public(), p.name
	}
	m.outputs = append(m.outputs, o)
}

// maxKeptOutputs is the maximum capacity that an empty queue of outputs keeps.
const maxKeptOutputs = 1024

// Poll returns the next output, in the order in which they were emitted.
func (m *Machine) Poll() (Output, bool) {
	if m.polled == len(m.outputs) {
		m.polled, m.outputs = 0, m.outputs[:0]
		if cap(m.outputs) > maxKeptOutputs {
			m.outputs = nil
		}
		return Output{}, false
	}
	o := m.outputs[m.polled]
	m.outputs[m.polled] = Output{}
	m.polled++
	return o, true
}

// identity is a private key of ours, with the number of jobs that use it. Jobs may
// still run after the machine has replaced the key.
type identity struct {
	static  *noise.Static
	jobs    int
	retired bool
}

// acquire counts a job that uses id; its finish or discard calls release.
func (id *identity) acquire() *identity {
	id.jobs++
	return id
}

func (id *identity) release() {
	id.jobs--
	id.eraseUnused()
}

func (id *identity) retire() {
	id.retired = true
	id.eraseUnused()
}

func (id *identity) eraseUnused() {
	if id.retired && id.jobs == 0 {
		id.static.Erase()
	}
}
