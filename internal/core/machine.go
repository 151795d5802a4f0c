package core

import (
	"io"
	"sync/atomic"

	"wgd/conf"
	"wgd/internal/allowedips"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/peer"
	"wgd/internal/wire"
	"wgd/key"
)

// Options of a Machine.
type Options struct {
	Rand  io.Reader    // the system's generator; a seeded one in tests
	Index *index.Table // shared with the data plane, written by the Machine only
	// What the last process left behind (A20, A21).
	Ceiling  wire.TAI64N                // no own stamp at or below it
	Received map[key.Public]wire.TAI64N // greatest accepted from each; New copies it
}

// Routes says which peer an inner address belongs to.
type Routes = allowedips.Table[*peer.Peer]

// Machine is the protocol of one interface. It is not safe for concurrent use.
type Machine struct {
	key.Hidden
	random io.Reader
	index  *index.Table
	common *peer.Common
	routes atomic.Pointer[Routes]

	up       bool
	refused  int // handshake messages, until TakeRefused
	tunables conf.Tunables
	port     uint16
	mark     uint32
	private  key.Private
	identity *identity // nil without a private key

	members     map[key.Public]*member
	first, last *member            // in the order of addition
	names       map[string]*member // of those that have one
	looks       lookHeap
	stamps      stamps

	outputs []Output // outputs[:polled] are gone
	polled  int
}

// New returns the machine of an interface that is down and has no peers.
func New(o Options) *Machine {
	m := &Machine{
		random:   o.Rand,
		index:    o.Index,
		tunables: conf.DefaultTunables(),
		members:  make(map[key.Public]*member),
		names:    make(map[string]*member),
		stamps:   newStamps(o.Ceiling, o.Received),
	}
	m.common = peer.NewCommon(timing(m.tunables))
	m.routes.Store((*Routes)(nil).Edit().Table())
	return m
}

// Up lets the machine speak: persistent keepalives and staged packets are
// owed at once (A61).
func (m *Machine) Up(now clock.Now) {
	if m.up {
		return
	}
	m.up = true
	m.reserveStamps(now)
	for p := m.first; p != nil; p = p.after {
		p.keepaliveOwed = p.shared.PersistentKeepalive() > 0
		p.wanted = p.shared.HasStaged()
		m.look(now, p)
	}
}

// Down silences it: timers stop, keys and handshakes are erased, staged
// packets purged (A35, A61). The configuration stays.
func (m *Machine) Down(clock.Now) {
	if !m.up {
		return
	}
	m.up = false
	for p := m.first; p != nil; p = p.after {
		m.quiet(p)
	}
}

// quiet makes p a peer with which nothing has begun.
func (m *Machine) quiet(p *member) {
	m.dropOwn(p)
	m.eraseSessions(p)
	p.shared.ForgetActivity()
	p.rekey = rekey{}
	p.keepaliveOwed = false
	p.handshakeSent, p.keepaliveServed, p.completed = 0, 0, 0
	m.schedule(p, clock.Never)
	if p.shared.HasStaged() {
		m.emit(Output{Kind: Purge, Peer: p.shared})
	}
}

// Close erases every secret (A35). The machine must not be used afterwards,
// but for LastStamp, and no Job may run.
func (m *Machine) Close() {
	m.Down(clock.Now{})
	for p := m.first; p != nil; p = p.after {
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

// Routes is shared with the data plane; never nil inside. Each Apply publishes
// at most one new table (A50).
func (m *Machine) Routes() *atomic.Pointer[Routes] { return &m.routes }

// PublicKey is the one of our private key; zero: none.
func (m *Machine) PublicKey() key.Public {
	if m.identity == nil {
		return key.Public{}
	}
	return m.identity.static.Public()
}

// ListenPort is the port as configured, or as SetListenPort said.
func (m *Machine) ListenPort() uint16 { return m.port }

// SetListenPort notes the port that the sockets have got.
func (m *Machine) SetListenPort(port uint16) { m.port = port }

// FirewallMark is for every packet that is sent (A53).
func (m *Machine) FirewallMark() uint32 { return m.mark }

// Tunables are those in force.
func (m *Machine) Tunables() conf.Tunables { return m.tunables }

// emit queues an output for Poll.
func (m *Machine) emit(o Output) {
	if o.Peer != nil {
		p := o.Peer.Record().(*member)
		o.PublicKey, o.Name = p.public(), p.name
	}
	m.outputs = append(m.outputs, o)
}

// maxKeptOutputs is how long an emptied queue may stay in memory.
const maxKeptOutputs = 1024

// Poll gives the next output, in the order in which the machine decided.
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

// identity is one private key of ours and the jobs that use it, which run
// elsewhere and may outlive it.
type identity struct {
	static  *noise.Static
	jobs    int
	retired bool
}

// acquire is for a job that begins; its finish calls back.
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
