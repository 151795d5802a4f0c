package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// Epoch is the wall time at which every Internet starts.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// An Internet is a set of hosts and the network between them.
type Internet struct {
	// Path, if set, returns the path of a datagram. Otherwise it is Default.
	// Both may be changed at any time.
	Default Path
	Path    func(d *Datagram) Path

	// Tap, if set, is called with every datagram that leaves a host.
	Tap func(from *Host, d *Datagram)

	Rand *rand.Rand // random numbers of the network, also for tests
	seed uint64

	Hosts []*Host
	nodes map[netip.Addr]node

	now      time.Duration // since the start
	queue    queue
	order    uint64  // number of events so far; breaks ties
	runnable []*Host // hosts whose machines run before anything else happens

	sealing *dataplane.SealJob // of all hosts, which seal one after the other
}

// A Path is what happens to a datagram between hosts.
type Path struct {
	Delay     time.Duration
	Jitter    time.Duration // maximum additional delay of each datagram, which reorders them
	Loss      float64       // probability, for each fragment
	Duplicate float64       // probability
	Congested bool          // sets CE in ECN-capable datagrams (RFC 3168)

	// MTU is that of the narrowest link; 0 means no limit. A longer datagram is
	// fragmented, or lost if NoFragments is set.
	MTU         int
	NoFragments bool
}

// A Datagram is a datagram between hosts. Data must not be changed.
type Datagram struct {
	At       time.Duration // when it was sent, since the start
	From, To netip.AddrPort
	Data     []byte
	ECN, TOS byte
}

// Type returns the type of the message, or 0 if it is not a message.
func (d *Datagram) Type() wire.Type {
	t, _ := wire.TypeOf(d.Data)
	return t
}

// A node receives the datagrams for an address.
type node interface{ receive(d *Datagram) }

// New returns an internet without hosts, whose Default path has a delay of 10
// ms.
func New(seed uint64) *Internet {
	return &Internet{
		Default: Path{Delay: 10 * time.Millisecond},
		Rand:    rand.New(rand.NewPCG(seed, 1)),
		seed:    seed,
		nodes:   make(map[netip.Addr]node),
	}
}

// Now returns the time since the start.
func (n *Internet) Now() time.Duration { return n.now }

// Run processes all events of the next d.
func (n *Internet) Run(d time.Duration) {
	n.settle()
	end := n.now + d
	for len(n.queue) > 0 && n.queue[0].at <= end {
		e := n.queue.pop()
		n.now = e.at
		e.do()
		n.settle()
	}
	n.now = end
}

// Next returns the time of the next event, if there is one.
func (n *Internet) Next() (at time.Duration, ok bool) {
	if len(n.queue) == 0 {
		return 0, false
	}
	return n.queue[0].at, true
}

// After schedules do for d from now.
func (n *Internet) After(d time.Duration, do func()) {
	n.order++
	n.queue.push(event{at: n.now + max(d, 0), order: n.order, do: do})
}

// Every calls do every d, first d from now, until it returns false.
func (n *Internet) Every(d time.Duration, do func() bool) {
	n.After(d, func() {
		if do() {
			n.Every(d, do)
		}
	})
}

// maxRuns is how often machines may run at one instant. More means that they
// never come to rest.
const maxRuns = 1_000_000

// settle runs the machines that have something to do now.
func (n *Internet) settle() {
	for i := 0; len(n.runnable) > 0; i++ {
		if i == maxRuns {
			panic(fmt.Sprintf("sim: the machines do not come to rest %v after the start", n.now))
		}
		h := n.runnable[0]
		n.runnable = n.runnable[1:]
		h.runMachine()
	}
	n.runnable = nil
}

// transmit sends a datagram along its path.
func (n *Internet) transmit(d *Datagram) {
	path := n.Default
	if n.Path != nil {
		path = n.Path(d)
	}
	if n.lost(&path, d) {
		return
	}
	if path.Congested && d.ECN != 0 {
		d.ECN = 3
	}
	n.arriveAfter(path.delay(n.Rand), d)
	if path.Duplicate > 0 && n.Rand.Float64() < path.Duplicate {
		n.arriveAfter(path.delay(n.Rand), d)
	}
}

func (n *Internet) arriveAfter(delay time.Duration, d *Datagram) {
	n.After(delay, func() {
		if to := n.nodes[d.To.Addr()]; to != nil {
			to.receive(d)
		}
	})
}

// Inject sends a datagram that no host sent, as an attacker would.
func (n *Internet) Inject(from, to netip.AddrPort, data []byte) {
	n.transmit(&Datagram{At: n.now, From: from, To: to, Data: data})
}

// Route lets route choose which host gets what is sent to an address, as anycast does; nil:
// none. Hosts with this address send from it.
func (n *Internet) Route(address string, route func(d *Datagram) *Host) {
	n.nodes[netip.MustParseAddr(address)] = anycast(route)
}

// An anycast is an address that several hosts have.
type anycast func(d *Datagram) *Host

func (a anycast) receive(d *Datagram) {
	if h := a(d); h != nil {
		h.receive(d)
	}
}

// InjectAt is Inject for a datagram that arrives at a host, whatever the route of its address.
func (n *Internet) InjectAt(h *Host, from netip.AddrPort, data []byte) {
	d := &Datagram{At: n.now, From: from, To: h.Addr(), Data: data}
	n.After(n.Default.Delay, func() { h.receive(d) })
}

// lost decides whether the path loses a datagram.
func (n *Internet) lost(p *Path, d *Datagram) bool {
	fragments := 1
	if p.MTU > 0 {
		header := 28
		if d.To.Addr().Is6() {
			header = 48
		}
		if len(d.Data)+header > p.MTU {
			fragments = (len(d.Data) + p.MTU - header - 1) / (p.MTU - header)
		}
	}
	if fragments > 1 && p.NoFragments {
		return true
	}
	if p.Loss == 0 {
		return false
	}
	for range fragments {
		if n.Rand.Float64() < p.Loss {
			return true
		}
	}
	return false
}

func (p *Path) delay(dice *rand.Rand) time.Duration {
	if p.Jitter == 0 {
		return p.Delay
	}
	return p.Delay + time.Duration(dice.Int64N(int64(p.Jitter)+1))
}

// An event is something that happens at a certain time.
type event struct {
	at    time.Duration
	order uint64
	do    func()
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

// queue is a heap of events with the next one first.
type queue []event

func (q *queue) push(e event) {
	*q = append(*q, e)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *queue) pop() event {
	h := *q
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h[last] = event{}
	h = h[:last]
	*q = h
	for i := 0; ; {
		earliest := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].before(&h[earliest]) {
				earliest = child
			}
		}
		if earliest == i {
			return first
		}
		h[i], h[earliest] = h[earliest], h[i]
		i = earliest
	}
}

// boot returns what the monotonic clock of host n shows at the start: a
// different time for each host, never zero.
func boot(n int) clock.Time {
	return clock.Time(1000*time.Second) + clock.Time(n)*clock.Time(time.Hour)
}
