package udptest

import (
	"errors"
	"net/netip"
	"os"
	"slices"

	"wgd/internal/batch"
	"wgd/internal/sys/udp"
)

// Group is a udp.Group of a Net. It is also its own Sender, because it has no buffers.
type Group struct {
	host  *Host
	local netip.AddrPort

	// The rest is guarded by the network's lock.
	caps    udp.Caps
	mark    uint32
	sent    int
	dropped int
	forgot  int
	onSend  func(b *batch.Batch) (take int, err error)
	sockets []*socket
	toFirst bool
	closed  bool
}

var _ udp.Group = (*Group)(nil)

// OnSend sets a function that is called before each Send: only the first take
// datagrams of the train are sent (all if it is negative), and Send returns err, like
// a kernel that sends part of a batch and then returns ENOBUFS. nil removes it.
func (g *Group) OnSend(f func(b *batch.Batch) (take int, err error)) {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	g.onSend = f
}

// Inject delivers a train to the Group, whatever its origin. It copies Data.
func (g *Group) Inject(b batch.Batch) {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	g.arrive(b)
}

// Mark returns the firewall mark.
func (g *Group) Mark() uint32 { g.host.net.mu.Lock(); defer g.host.net.mu.Unlock(); return g.mark }

// Sent returns the number of datagrams sent.
func (g *Group) Sent() int { g.host.net.mu.Lock(); defer g.host.net.mu.Unlock(); return g.sent }

// Dropped returns the number of trains that were dropped because the queue of a socket
// was full, which holds 4,096, or that were lost with a socket.
func (g *Group) Dropped() int { g.host.net.mu.Lock(); defer g.host.net.mu.Unlock(); return g.dropped }

// Forgot returns how often Forget was called.
func (g *Group) Forgot() int { g.host.net.mu.Lock(); defer g.host.net.mu.Unlock(); return g.forgot }

// Sockets returns the number of sockets.
func (g *Group) Sockets() int {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	return len(g.sockets)
}

// NewSender returns the Group itself.
func (g *Group) NewSender() udp.Sender { return g }

// Send implements udp.Sender.
func (g *Group) Send(b *batch.Batch) error {
	n := g.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to := b.Remote.Remote
	switch {
	case g.closed:
		return os.ErrClosed
	case !b.Remote.IsValid():
		return udp.ErrBadEndpoint
	case is4(to.Addr()) != g.local.Addr().Is4():
		return udp.ErrNoFamily
	}
	train, fault := *b, error(nil)
	if g.onSend != nil {
		var take int
		if take, fault = g.onSend(b); take >= 0 && take < b.Count() {
			train.Data = b.Data[:take*b.Stride]
		}
		if take == 0 {
			return fault
		}
	}
	from, gone := b.Remote.Source, false
	if !from.IsValid() || n.hosts[from] != g.host {
		gone = from.IsValid()
		from = g.host.source(g.local.Addr().Is4())
	}
	switch {
	case !from.IsValid() && gone:
		return errors.Join(udp.ErrSourceGone, errUnreachable)
	case !from.IsValid():
		return errUnreachable
	}
	g.sent += train.Count()
	n.deliver(netip.AddrPortFrom(from, g.local.Port()), to, train)
	if fault == nil && gone {
		return udp.ErrSourceGone
	}
	return fault
}

// SendAll implements udp.Sender.
func (g *Group) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(g.Send, bs, errs) }

// arrive queues a train, split into single datagrams if the socket lacks GRO.
func (g *Group) arrive(b batch.Batch) {
	b.Data = slices.Clone(b.Data)
	if g.caps.GRO || b.Count() == 1 {
		g.put(b)
		return
	}
	for i := range b.Count() {
		one := b
		one.Data = b.At(i)
		one.Stride = len(one.Data)
		g.put(one)
	}
}

func (g *Group) put(b batch.Batch) {
	if b.Count() == 1 {
		b.Stride = len(b.Data)
	}
	select {
	case g.choose(b.Remote.Remote).queue <- b:
	default:
		g.dropped++
	}
}

// choose returns the socket for datagrams from an address and port.
func (g *Group) choose(from netip.AddrPort) *socket {
	if g.toFirst {
		return g.sockets[0]
	}
	sum := int(from.Port())
	for _, b := range from.Addr().As16() {
		sum = sum*31 + int(b)
	}
	return g.sockets[uint(sum)%uint(len(g.sockets))]
}

// Socket implements udp.Group.
func (g *Group) Socket(i int) udp.Socket {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	return g.sockets[i]
}

// SetSockets implements udp.Group. Trains lost with a socket count as dropped.
func (g *Group) SetSockets(n int) error {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	switch {
	case n < 1:
		return errors.New("a group needs at least one socket")
	case g.closed:
		return os.ErrClosed
	}
	for len(g.sockets) < n {
		g.sockets = append(g.sockets, newSocket())
	}
	for _, s := range g.sockets[n:] {
		close(s.closed)
		g.dropped += len(s.queue)
	}
	g.sockets = g.sockets[:n]
	g.toFirst = false
	return nil
}

// SteerToFirst implements udp.Group.
func (g *Group) SteerToFirst() bool {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	g.toFirst = true
	return true
}

// SetMark implements udp.Group.
func (g *Group) SetMark(mark uint32) error {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	g.mark = mark
	return nil
}

// Forget only counts the call.
func (g *Group) Forget() { g.host.net.mu.Lock(); defer g.host.net.mu.Unlock(); g.forgot++ }

// Caps returns the capabilities set by the options of Listen.
func (g *Group) Caps() udp.Caps { g.host.net.mu.Lock(); defer g.host.net.mu.Unlock(); return g.caps }

// Close implements udp.Group.
func (g *Group) Close() error {
	g.host.net.mu.Lock()
	defer g.host.net.mu.Unlock()
	if !g.closed {
		g.closed = true
		for _, s := range g.sockets {
			close(s.closed)
		}
		delete(g.host.groups, g.local)
	}
	return nil
}
