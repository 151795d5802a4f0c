package core

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// epoch is the wall time at which each test begins.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// start is the monotonic time at which each test begins.
const start = clock.Time(1000 * time.Second)

// world is a network of hosts in virtual time. Every packet, job and timer is an
// event; a run with the same seed is identical.
type world struct {
	t      testing.TB
	now    clock.Time
	dice   *rand.Rand
	hosts  []*host
	events eventHeap
	count  int // number of events so far, which orders those at the same time

	// delay returns how long a packet takes; nil: 10 ms.
	delay func() time.Duration
	// lost reports whether a packet is lost; nil: none is.
	lost func(from, to *host, msg []byte) bool
	// jobDelay returns how long a job takes; nil: no time.
	jobDelay func() time.Duration
}

type event struct {
	at  clock.Time
	seq int
	do  func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	*h = (*h)[:last]
	return e
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{t: t, now: start, dice: rand.New(rand.NewPCG(seed, 1))}
}

// after schedules do to be called after d.
func (w *world) after(d time.Duration, do func()) {
	heap.Push(&w.events, event{w.now.Add(d), w.count, do})
	w.count++
}

// run advances the time by d, and processes all events until then.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for {
		next, h := w.next()
		if next > end {
			w.now = end
			return
		}
		w.now = max(w.now, next)
		if h != nil {
			h.m.Timeout(h.time())
			h.drain()
			continue
		}
		heap.Pop(&w.events).(event).do()
	}
}

// next returns the time of the next event, and the host if it is a timeout.
func (w *world) next() (at clock.Time, h *host) {
	at = clock.Never
	if len(w.events) > 0 {
		at = w.events[0].at
	}
	for _, candidate := range w.hosts {
		if t := candidate.m.NextTimeout(); t < at {
			at, h = t, candidate
		}
	}
	return at, h
}

// pair adds two hosts that are up and are each other's only peer.
func (w *world) pair() (a, b *host) {
	a, b = w.host(), w.host()
	w.join(a, b)
	return a, b
}

// join makes two hosts each other's peers, with endpoints, and brings them up.
func (w *world) join(a, b *host) {
	a.apply(conf.Change{Peers: []conf.PeerChange{a.about(b)}})
	b.apply(conf.Change{Peers: []conf.PeerChange{b.about(a)}})
	a.up()
	b.up()
}

// about returns the configuration of the peer other: key, endpoint and one prefix.
func (h *host) about(other *host) conf.PeerChange {
	end := other.addr
	return conf.PeerChange{
		PublicKey:  other.public,
		Endpoint:   &end,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: prefixOf(other.n)}},
	}
}

func prefixOf(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32)
}

// deliver sends a datagram to the host with that address.
func (w *world) deliver(from *host, to netip.AddrPort, msg []byte) {
	var dest *host
	for _, h := range w.hosts {
		if h.addr == to {
			dest = h
		}
	}
	if dest == nil || w.lost != nil && w.lost(from, dest, msg) {
		return
	}
	d := 10 * time.Millisecond
	if w.delay != nil {
		d = w.delay()
	}
	source := from.addr
	w.after(d, func() { dest.receive(source, msg) })
}

// keyFor returns the private key of host n.
func keyFor(n int) key.Private {
	var b [32]byte
	r := rand.New(rand.NewPCG(uint64(n), 77))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return key.NewPrivate(&b)
}

// kinds counts messages by their type.
func kinds(sent []sent) map[wire.Type]int {
	m := map[wire.Type]int{}
	for _, s := range sent {
		m[s.kind]++
	}
	return m
}

func (w *world) String() string {
	return fmt.Sprintf("%v after the start", w.now.Sub(start))
}
