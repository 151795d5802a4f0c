package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
)

// Epoch is the wall time at which every Internet begins.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Internet is all hosts and what is between them.
type Internet struct {
	// Default is the path of a datagram for which Path, where it is set, has no
	// other one. Both may be changed at any time.
	Default Path
	Path    func(d *Datagram) Path

	// Tap, where it is set, sees every datagram that leaves a host.
	Tap func(from *Host, d *Datagram)

	Dice *rand.Rand // of the network; for tests too
	seed uint64

	Hosts []*Host
	nodes map[netip.Addr]node

	now   time.Duration // since the beginning
	queue queue
	order uint64  // of events, which breaks ties
	rung  []*Host // whose machines have their turn before anything else happens
}

// Path is what happens to a datagram on its way.
type Path struct {
	Delay     time.Duration
	Jitter    time.Duration // up to so much more for each, so that they overtake one another
	Loss      float64       // probability, for each fragment
	Duplicate float64       // probability
	Congested bool          // marks what may be marked (RFC 3168)

	// MTU is that of the narrowest link; 0: none is narrow. What is longer
	// travels in fragments, which get lost if NoFragments.
	MTU         int
	NoFragments bool
}

// Datagram is one on its way. Nobody changes Data.
type Datagram struct {
	At       time.Duration // since the beginning, when it was sent
	From, To netip.AddrPort
	Data     []byte
	ECN, TOS byte
}

// Type is the message's; 0: it is none.
func (d *Datagram) Type() wire.Type {
	t, _ := wire.TypeOf(d.Data)
	return t
}

// node is who has an address.
type node interface{ receive(d *Datagram) }

// New returns an internet without hosts, its Default a path of 10 ms.
func New(seed uint64) *Internet {
	return &Internet{
		Default: Path{Delay: 10 * time.Millisecond},
		Dice:    rand.New(rand.NewPCG(seed, 1)),
		seed:    seed,
		nodes:   make(map[netip.Addr]node),
	}
}

// Now is the time since the beginning.
func (n *Internet) Now() time.Duration { return n.now }

// Run lets d pass.
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

// After has do happen d from now.
func (n *Internet) After(d time.Duration, do func()) {
	n.order++
	n.queue.push(event{at: n.now + max(d, 0), order: n.order, do: do})
}

// Every has do happen each d, the first time d from now, until it is false.
func (n *Internet) Every(d time.Duration, do func() bool) {
	n.After(d, func() {
		if do() {
			n.Every(d, do)
		}
	})
}

// maxTurns is how often machines may have their turn in one instant. What
// takes more never comes to rest.
const maxTurns = 1_000_000

// settle gives every machine its turn that has something to do now.
func (n *Internet) settle() {
	for i := 0; len(n.rung) > 0; i++ {
		if i == maxTurns {
			panic(fmt.Sprintf("sim: %v after the beginning a host does not come to rest", n.now))
		}
		h := n.rung[0]
		n.rung = n.rung[1:]
		h.turn()
	}
	n.rung = nil
}

// transmit sends a datagram on its way.
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
	n.arriveAfter(path.delay(n.Dice), d)
	if path.Duplicate > 0 && n.Dice.Float64() < path.Duplicate {
		n.arriveAfter(path.delay(n.Dice), d)
	}
}

func (n *Internet) arriveAfter(delay time.Duration, d *Datagram) {
	n.After(delay, func() {
		if to := n.nodes[d.To.Addr()]; to != nil {
			to.receive(d)
		}
	})
}

// Inject sends a datagram that no host has made: a forger's.
func (n *Internet) Inject(from, to netip.AddrPort, data []byte) {
	n.transmit(&Datagram{At: n.now, From: from, To: to, Data: data})
}

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
		if n.Dice.Float64() < p.Loss {
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

// event is something that happens at a time.
type event struct {
	at    time.Duration
	order uint64
	do    func()
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

// queue is a heap of events, the next one first.
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

// boot is what a host's monotonic clock shows at the beginning: for each
// another time, for none of them zero.
func boot(n int) clock.Time {
	return clock.Time(1000*time.Second) + clock.Time(n)*clock.Time(time.Hour)
}
