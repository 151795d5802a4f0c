package udp

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// Net is a network for tests, in memory: hosts with addresses, and sockets on
// them that behave like this package's. Trains arrive whole and in order,
// unless a Filter or a FakeConn's OnSend decides otherwise.
type Net struct {
	mu     sync.Mutex
	hosts  map[netip.Addr]*Host
	filter func(from, to netip.AddrPort, b *batch.Batch) bool
}

// NewNet is a network without hosts.
func NewNet() *Net { return &Net{hosts: make(map[netip.Addr]*Host)} }

// Filter is asked about every train on its way; false loses it. It may change
// the bytes of b, which are a copy. It must not send.
func (n *Net) Filter(keep func(from, to netip.AddrPort, b *batch.Batch) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = keep
}

// A Host of a Net has addresses, which may come and go, and one interface of index 1.
type Host struct {
	net   *Net
	addrs []netip.Addr
	conns map[netip.AddrPort]*FakeConn // by wildcard address and port
	next  uint16
}

// Host adds a host. It lacks the family of which it has no address.
func (n *Net) Host(addrs ...netip.Addr) *Host {
	h := &Host{net: n, conns: make(map[netip.AddrPort]*FakeConn), next: 40000}
	for _, a := range addrs {
		h.AddAddr(a)
	}
	return h
}

// AddAddr gives the host an address; one that another host had moves to it.
func (h *Host) AddAddr(a netip.Addr) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if old := h.net.hosts[a]; old != nil {
		old.addrs = slices.DeleteFunc(old.addrs, func(b netip.Addr) bool { return a == b })
	}
	h.addrs = append(h.addrs, a)
	h.net.hosts[a] = h
}

// RemoveAddr takes an address away: what is sent from it then ends with ErrSourceGone.
func (h *Host) RemoveAddr(a netip.Addr) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.net.hosts[a] == h {
		delete(h.net.hosts, a)
	}
	h.addrs = slices.DeleteFunc(h.addrs, func(b netip.Addr) bool { return a == b })
}

// Listen is this package's Listen on the host: the Pair's sockets are *FakeConn.
func (h *Host) Listen(port uint16, o Options) (*Pair, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if port == 0 {
		for h.taken(h.next) {
			h.next++
		}
		port = h.next
		h.next++
	} else if h.taken(port) {
		return nil, &PortTaken{Port: port, Cause: os.ErrExist}
	}
	v4 := h.open(netip.IPv4Unspecified(), port, o.NoIPv4, o)
	v6 := h.open(netip.IPv6Unspecified(), port, o.NoIPv6, o)
	p := &Pair{port: port}
	if v4 != nil {
		p.V4 = v4
	}
	if v6 != nil {
		p.V6 = v6
	}
	if len(p.Conns()) == 0 {
		return nil, ErrNoFamily
	}
	return p, nil
}

func (h *Host) taken(port uint16) bool {
	return h.conns[netip.AddrPortFrom(netip.IPv4Unspecified(), port)] != nil ||
		h.conns[netip.AddrPortFrom(netip.IPv6Unspecified(), port)] != nil
}

func (h *Host) open(any netip.Addr, port uint16, without bool, o Options) *FakeConn {
	if without || !h.source(any.Is4()).IsValid() {
		return nil
	}
	c := &FakeConn{
		host: h, local: netip.AddrPortFrom(any, port), mark: o.Mark,
		caps:   Caps{GSO: !o.NoGSO, GRO: !o.NoGRO, RecvBuffer: BufferSize, SendBuffer: BufferSize},
		queue:  make(chan batch.Batch, 4096),
		closed: make(chan struct{}),
	}
	h.conns[c.local] = c
	return c
}

// source is the address that the host prefers in a family.
func (h *Host) source(v4 bool) netip.Addr {
	for _, a := range h.addrs {
		if a.Is4() == v4 {
			return a
		}
	}
	return netip.Addr{}
}

// FakeConn is a Conn of a Net.
type FakeConn struct {
	host   *Host
	local  netip.AddrPort
	queue  chan batch.Batch
	closed chan struct{}

	// All below under the network's lock.
	caps    Caps
	mark    uint32
	sent    int
	dropped int
	forgot  int
	onSend  func(b *batch.Batch) (take int, err error)

	siblings []*FakeConn
	toFirst  bool
}

var _ MultiSocket = (*FakeConn)(nil)

// OnSend is asked before each Send: only the first take datagrams of the train
// leave (a negative number: all), and Send returns err, like a kernel that
// takes part of a batch and then says ENOBUFS. nil ends that.
func (c *FakeConn) OnSend(f func(b *batch.Batch) (take int, err error)) {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.onSend = f
}

// Inject is a train that comes out of nowhere; Data is copied.
func (c *FakeConn) Inject(b batch.Batch) {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.arrive(b)
}

// Mark is the present firewall mark.
func (c *FakeConn) Mark() uint32 { c.host.net.mu.Lock(); defer c.host.net.mu.Unlock(); return c.mark }

// Sent is the number of datagrams that left.
func (c *FakeConn) Sent() int { c.host.net.mu.Lock(); defer c.host.net.mu.Unlock(); return c.sent }

// Dropped is the number of trains that found the queue of 4,096 full.
func (c *FakeConn) Dropped() int {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	return c.dropped
}

// Forgot is how often Forget was called.
func (c *FakeConn) Forgot() int {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	return c.forgot
}

func (c *FakeConn) Recv(bs []batch.Batch) (int, error) {
	if isClosed(c.closed) {
		return 0, os.ErrClosed
	}
	select {
	case bs[0] = <-c.queue:
	case <-c.closed:
		return 0, os.ErrClosed
	}
	return c.drain(bs, 1)
}

// drain receives what waits behind the first n.
func (c *FakeConn) drain(bs []batch.Batch, n int) (int, error) {
	for ; n < min(len(bs), MaxDepth); n++ {
		select {
		case bs[n] = <-c.queue:
		default:
			return n, nil
		}
	}
	return min(len(bs), MaxDepth), nil
}

func (c *FakeConn) Send(b *batch.Batch) error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	to := b.Remote.Remote
	switch {
	case isClosed(c.closed):
		return os.ErrClosed
	case !b.Remote.IsValid():
		return ErrBadEndpoint
	case is4(to.Addr()) != c.local.Addr().Is4():
		return ErrNoFamily
	}
	train, fault := *b, error(nil)
	if c.onSend != nil {
		var take int
		if take, fault = c.onSend(b); take >= 0 && take < b.Count() {
			train.Data = b.Data[:take*b.Stride]
		}
		if take == 0 {
			return fault
		}
	}
	from, gone := b.Remote.Source, false
	if !from.IsValid() || n.hosts[from] != c.host {
		gone = from.IsValid()
		from = c.host.source(c.local.Addr().Is4())
	}
	switch {
	case !from.IsValid() && gone:
		return errors.Join(ErrSourceGone, errUnreachable)
	case !from.IsValid():
		return errUnreachable
	}
	c.sent += train.Count()
	n.carry(netip.AddrPortFrom(from, c.local.Port()), to, train)
	if fault == nil && gone {
		return ErrSourceGone
	}
	return fault
}

// errUnreachable is a host that has lost its last address of the family.
var errUnreachable = errors.New("network is unreachable")

// carry takes a train to the socket at to, if there is one. Locked by the caller.
func (n *Net) carry(from, to netip.AddrPort, b batch.Batch) {
	to = netip.AddrPortFrom(to.Addr().Unmap().WithZone(""), to.Port())
	b.Data = slices.Clone(b.Data)
	b.Remote = wire.NewEndpoint(from, to.Addr(), 1)
	if n.filter != nil && !n.filter(from, to, &b) {
		return
	}
	host := n.hosts[to.Addr()]
	if host == nil {
		return
	}
	wildcard := netip.IPv6Unspecified()
	if to.Addr().Is4() {
		wildcard = netip.IPv4Unspecified()
	}
	if c := host.conns[netip.AddrPortFrom(wildcard, to.Port())]; c != nil {
		c.arrive(b)
	}
}

// arrive queues a train, cut into single datagrams where the socket lacks GRO.
func (c *FakeConn) arrive(b batch.Batch) {
	b.Data = slices.Clone(b.Data)
	if c.caps.GRO || b.Count() == 1 {
		c.put(b)
		return
	}
	for i := range b.Count() {
		one := b
		one.Data = b.At(i)
		one.Stride = len(one.Data)
		c.put(one)
	}
}

func (c *FakeConn) put(b batch.Batch) {
	if b.Count() == 1 {
		b.Stride = len(b.Data)
	}
	select {
	case c.choose(b.Remote.Remote).queue <- b:
	default:
		c.dropped++
	}
}

func (c *FakeConn) SetMark(mark uint32) error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	c.mark = mark
	return nil
}

func (c *FakeConn) Forget() { c.host.net.mu.Lock(); defer c.host.net.mu.Unlock(); c.forgot++ }

func (c *FakeConn) Caps() Caps { c.host.net.mu.Lock(); defer c.host.net.mu.Unlock(); return c.caps }

func (c *FakeConn) Close() error {
	c.host.net.mu.Lock()
	defer c.host.net.mu.Unlock()
	if !isClosed(c.closed) {
		close(c.closed)
		for _, sibling := range c.siblings {
			close(sibling.closed)
		}
		delete(c.host.conns, c.local)
	}
	return nil
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
