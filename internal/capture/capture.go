package capture

import (
	"net/netip"
	"sync/atomic"

	"wgd/internal/batch"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// Options are what a capture is to contain.
type Options struct {
	Interface    string // its name
	Outer, Inner bool

	// Find returns the peer whose packets are captured, or nil if it does not exist
	// now. If Find is nil, those of all peers are captured. Name is its name.
	Find func() *peer.Peer
	Name string

	// Clock returns Unix time in nanoseconds. It is called for each train, under a lock.
	Clock func() int64
	// NameOf returns what stands for a peer in the comments of its packets.
	NameOf func(*peer.Peer) string
}

// A Capture is one capture. Hub.Add begins it, and Stream ends it.
type Capture struct {
	options      Options
	outer, inner bool
	onePeer      bool
	clock        func() int64
	peer         atomic.Pointer[peer.Peer] // nil: there is no such peer now
	hub          *Hub

	// Guarded by the hub's lock.
	ring    *ring
	ended   bool
	waiting *initiations // only if onePeer
}

// New returns a Capture that has not begun.
func New(o Options) *Capture {
	c := &Capture{options: o, outer: o.Outer, inner: o.Inner, onePeer: o.Find != nil, clock: o.Clock}
	if c.onePeer {
		c.waiting = &initiations{}
	}
	return c
}

// PeersChanged must be called when the peer may have been added or removed.
func (c *Capture) PeersChanged() {
	if c.onePeer {
		c.peer.Store(c.options.Find())
	}
}

// concerns reports whether datagrams of p, which is nil for an unknown peer, to or from
// an address are captured.
func (c *Capture) concerns(p *peer.Peer, remote netip.AddrPort) bool {
	if !c.onePeer {
		return true
	}
	wanted := c.peer.Load()
	return wanted != nil && (p == wanted || p == nil && wanted.Endpoint().Remote == remote)
}

// arrived captures the datagrams of b from i to before j, which all have one receiver
// index. p is its owner, or nil.
func (c *Capture) arrived(p *peer.Peer, port uint16, b *batch.Batch, i, j int) {
	wanted := c.concerns(p, b.Remote.Remote)
	if !wanted && (p != nil || !hasInitiation(b, i, j)) {
		return
	}
	r := record{kind: datagrams, inbound: true, peer: p, header: headerOf(b, netip.Addr{}, port)}
	r.header.From, r.header.To = r.header.To, r.header.From
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.ended {
		return
	}
	r.at = c.clock()
	if !wanted {
		for ; i < j; i++ {
			if isInitiation(b.At(i)) {
				c.waiting.put(&r, b.At(i))
			}
		}
		return
	}
	c.ring.begin(r)
	for ; i < j; i++ {
		c.ring.add(b.At(i))
	}
	c.ring.commit()
}

func isInitiation(msg []byte) bool {
	kind, ok := wire.TypeOf(msg)
	return ok && kind == wire.TypeInitiation
}

// hasInitiation reports whether one of the datagrams from i to before j is an initiation.
func hasInitiation(b *batch.Batch, i, j int) bool {
	for ; i < j; i++ {
		if isInitiation(b.At(i)) {
			return true
		}
	}
	return false
}

// sent captures b, which was sent to p.
func (c *Capture) sent(p *peer.Peer, port uint16, b *batch.Batch) {
	var source netip.Addr // which the kernel chose
	if p != nil {
		if route := p.Location().LastRoute(); route != nil {
			source = route.Source
		}
	}
	r := record{kind: datagrams, peer: p, header: headerOf(b, source, port)}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if c.ended {
		return
	}
	if kind, ok := wire.TypeOf(b.At(0)); ok && kind == wire.TypeResponse && c.onePeer {
		if asked := c.waiting.take(b.Remote.Remote, wire.ReceiverIndex(b.At(0))); asked != nil {
			asked.header.peer = p
			c.ring.begin(asked.header)
			c.ring.add(asked.message[:])
			c.ring.commit()
		}
	}
	r.at = c.clock()
	c.ring.begin(r)
	for i := range b.Count() {
		c.ring.add(b.At(i))
	}
	c.ring.commit()
}

// usualTTL is the TTL that Linux gives to a packet, unless it is configured otherwise.
const usualTTL = 64

// headerOf returns the headers of datagrams that are sent as b, from source if b does not
// say from where.
func headerOf(b *batch.Batch, source netip.Addr, port uint16) packet.DatagramHeader {
	to := b.Remote.Remote
	if b.Remote.Source.IsValid() {
		source = b.Remote.Source
	}
	if !source.IsValid() || source.Is4() != to.Addr().Is4() {
		source = netip.IPv6Unspecified()
		if to.Addr().Is4() {
			source = netip.IPv4Unspecified()
		}
	}
	h := packet.DatagramHeader{
		From: netip.AddrPortFrom(source, port), To: to,
		TOS: b.TOS | b.ECN, TTL: b.TTL, DontFragment: b.DontFragment,
	}
	if h.TTL == 0 {
		h.TTL = usualTTL
	}
	return h
}

// owner returns the peer to whose session or handshake a received message belongs. It
// returns nil if that is not known, as for an initiation.
func owner(t *index.Table, msg []byte) *peer.Peer {
	if i, ok := receiver(msg); ok {
		if entry := t.Lookup(i); entry != nil {
			return entry.Peer
		}
	}
	return nil
}

// receiver returns the receiver index of a message, if it has one.
func receiver(msg []byte) (i uint32, ok bool) {
	kind, ok := wire.TypeOf(msg)
	switch {
	case !ok || kind == wire.TypeInitiation:
		return 0, false
	case kind == wire.TypeResponse:
		return wire.ReceiverIndex(msg), true
	}
	return wire.DataIndex(msg), true // or that of a cookie reply, at the same place
}

// endOfRun returns the end of the datagrams of b from i on that have the same receiver
// index.
func endOfRun(b *batch.Batch, i int) (j int) {
	n := b.Count()
	first := b.At(i)
	j = i + 1
	if kind, ok := wire.TypeOf(first); ok && kind == wire.TypeData {
		// Nearly all are data of one session.
		for at := j * b.Stride; j < n && len(b.Data)-at >= wire.MinDataSize && [8]byte(b.Data[at:]) == [8]byte(first); j++ {
			at += b.Stride
		}
	}
	for ; j < n && sameReceiver(first, b.At(j)); j++ {
	}
	return j
}

// sameReceiver reports whether two messages have the same receiver index.
func sameReceiver(a, b []byte) bool {
	i, ok := receiver(a)
	j, also := receiver(b)
	return ok == also && i == j
}

// initiations are the latest initiations whose sender is not known yet. Which peer has
// sent one shows when it is answered.
type initiations struct {
	list [64]initiation
	next int
}

type initiation struct {
	header  record
	message [wire.InitiationSize]byte
}

func (w *initiations) put(r *record, msg []byte) {
	i := &w.list[w.next%len(w.list)]
	i.header = *r
	copy(i.message[:], msg)
	w.next++
}

// take returns the initiation from that address with that sender index, or nil.
func (w *initiations) take(from netip.AddrPort, sender uint32) *initiation {
	for k := range w.list {
		i := &w.list[k]
		if i.header.at != 0 && i.header.header.From == from && wire.SenderIndex(i.message[:]) == sender {
			taken := *i
			i.header = record{}
			return &taken
		}
	}
	return nil
}
