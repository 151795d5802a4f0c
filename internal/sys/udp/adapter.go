package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// A Conn is all that a Group needs to send and receive datagrams, if it does without
// what only the kernel of Linux has: several sockets on one port, ECN, source addresses,
// firewall marks and send buffers whose length can be queried. Package wg has the same
// interface, and says what an implementation must do.
type Conn interface {
	Port() uint16
	Read(b []byte) (n, size int, from netip.AddrPort, err error)
	Write(b []byte, size int, to netip.AddrPort) error
	Close() error
}

// Adapt returns the sockets of a tunnel that sends and receives through c, to and from
// any address. It closes c if it returns an error.
func Adapt(c Conn, o Options) (*Single, error) {
	g, err := newConnGroup(c, o, func(netip.Addr) bool { return true }, 0)
	if err != nil {
		return nil, err
	}
	return &Single{g, c.Port()}, nil
}

// Single is one Group for both families.
type Single struct {
	Group
	port uint16
}

// Port returns the port of the Conn.
func (s *Single) Port() uint16 { return s.port }

// Groups returns the Group.
func (s *Single) Groups() []Group { return []Group{s.Group} }

const (
	maxRead   = 65536     // what one Read of a Conn may return
	chunkSize = 128 << 10 // at least maxRead
)

// connGroup is a Group, its only Socket and its Senders. A goroutine reads from the Conn
// into a chunk, which Receivers take, so that Receivers can also look for datagrams
// without waiting. What lies back to back is joined to trains on the way.
type connGroup struct {
	conn   Conn
	has    func(netip.Addr) bool // whether the Conn can send to the address
	caps   Caps
	closed atomic.Bool
	ended  chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	arrived sync.Cond // there is a train or an error, or the Group was closed
	taken   sync.Cond // trains or the error were taken, or the Group was closed
	pending chunk
	err     error // of the last Read
	over    bool  // the Conn has ended: there is always an error
}

func newConnGroup(c Conn, o Options, has func(netip.Addr) bool, buffer int) (*connGroup, error) {
	g := &connGroup{conn: c, has: has, ended: make(chan struct{}),
		caps: Caps{OneSocket: true, RecvBuffer: buffer, SendBuffer: buffer}}
	g.arrived.L, g.taken.L = &g.mu, &g.mu
	if err := g.SetMark(o.Mark); err != nil {
		c.Close()
		return nil, err
	}
	go g.readAll()
	return g, nil
}

// A chunk holds trains in the order of their arrival.
type chunk struct {
	buf    []byte // made on first use
	used   int    // bytes of buf
	first  int    // of trains: those before it were taken
	trains []connTrain
}

// connTrain is a train in a chunk.
type connTrain struct {
	off, len, stride int
	from             netip.AddrPort
}

func (c *chunk) empty() bool { return c.first == len(c.trains) }

func (c *chunk) clear() { c.used, c.first, c.trains = 0, 0, c.trains[:0] }

// add copies datagrams to the chunk, and reports whether there was room for them.
func (c *chunk) add(data []byte, stride int, from netip.AddrPort) bool {
	if c.empty() {
		c.clear()
	}
	if c.buf == nil {
		c.buf, c.trains = make([]byte, chunkSize), make([]connTrain, 0, MaxDepth)
	}
	if len(data) > len(c.buf)-c.used {
		return false
	}
	if !c.join(data, stride, from) {
		if len(c.trains) == MaxDepth {
			return false
		}
		c.trains = append(c.trains, connTrain{c.used, len(data), stride, from})
	}
	copy(c.buf[c.used:], data)
	c.used += len(data)
	return true
}

// join makes the datagrams a part of the last train, if their lengths allow that.
func (c *chunk) join(data []byte, stride int, from netip.AddrPort) bool {
	if c.empty() || len(data) == 0 {
		return false
	}
	last := &c.trains[len(c.trains)-1]
	full := last.len > 0 && last.len%last.stride == 0
	fits := stride == last.stride || len(data) <= stride && stride < last.stride
	length := last.len + len(data)
	if !full || !fits || last.from != from || length > batch.MaxDatagram4 || length > MaxSegments*last.stride {
		return false
	}
	last.len = length
	return true
}

// take moves the first trains to bs: all to the empty chunk to, if bs has room for
// them, by exchanging the buffers.
func (c *chunk) take(to *chunk, bs []batch.Batch) (n int) {
	to.clear()
	if n = len(c.trains) - c.first; n <= len(bs) {
		*c, *to = *to, *c
	} else {
		n = len(bs)
		for _, t := range c.trains[c.first : c.first+n] {
			to.add(c.buf[t.off:t.off+t.len], t.stride, t.from)
		}
		n = len(to.trains) // less, if some were joined
		c.first += len(bs)
	}
	for i, t := range to.trains[to.first:] {
		bs[i] = batch.Batch{Data: to.buf[t.off : t.off+t.len : t.off+t.len], Stride: t.stride,
			Remote: wire.NewEndpoint(t.from, netip.Addr{}, 0), Buf: to.buf, Off: t.off}
	}
	to.first = len(to.trains)
	return n
}

var errBadRead = errors.New("the transport returned an impossible number of bytes, or size, from Read")

// ConnEnded says that a Conn ended without being closed by this side. It is an
// os.ErrClosed, and returned once.
type ConnEnded struct{}

func (ConnEnded) Error() string {
	return "the transport was closed by itself, so nothing is received any more: set another listen port, which opens it again"
}

func (ConnEnded) Unwrap() error { return os.ErrClosed }

func (g *connGroup) readAll() {
	defer close(g.ended)
	buf := make([]byte, maxRead)
	for !g.closed.Load() {
		n, size, from, err := g.conn.Read(buf)
		if err == nil && (n < 0 || n > len(buf) || size < 0 || n > 0 && size == 0) {
			err = errBadRead
		}
		if errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) {
			g.end()
			return
		}
		if err != nil {
			g.fail(err)
		} else if from.IsValid() {
			g.arrive(buf[:n], min(size, n), netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		}
	}
}

// arrive waits for room for the datagrams, as a socket does whose buffer is full.
func (g *connGroup) arrive(data []byte, stride int, from netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.closed.Load() {
		if g.pending.add(data, stride, from) {
			g.arrived.Broadcast()
			return
		}
		g.taken.Wait()
	}
}

// fail waits until the error was taken, so that a Conn that always fails does not occupy
// a core: the engine pauses after an error.
func (g *connGroup) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
	g.arrived.Broadcast()
	for g.err != nil && !g.closed.Load() {
		g.taken.Wait()
	}
}

// end is called when the Conn will not be read any more.
func (g *connGroup) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err, g.over = ConnEnded{}, true
	g.arrived.Broadcast()
}

// await waits until there is something to take, unless wait is false. The caller holds
// mu.
func (g *connGroup) await(wait bool) error {
	for !g.closed.Load() {
		if !g.pending.empty() || g.err != nil || !wait {
			return nil
		}
		g.arrived.Wait()
	}
	return os.ErrClosed
}

// connReceiver is a Receiver. It has the chunk that it took last.
type connReceiver struct {
	group *connGroup
	chunk chunk
}

func (r *connReceiver) Recv(bs []batch.Batch) (int, error)    { return r.receive(bs, true) }
func (r *connReceiver) TryRecv(bs []batch.Batch) (int, error) { return r.receive(bs, false) }

func (r *connReceiver) receive(bs []batch.Batch, wait bool) (n int, err error) {
	if len(bs) == 0 {
		return 0, errors.New("Recv needs at least one batch")
	}
	g := r.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.await(wait); err != nil {
		return 0, err
	}
	switch {
	case !g.pending.empty():
		n = g.pending.take(&r.chunk, bs[:min(len(bs), MaxDepth)])
	default:
		err, g.err = g.err, nil
		if g.over {
			g.err = os.ErrClosed
		}
	}
	g.taken.Signal()
	return n, err
}

func (g *connGroup) NewReceiver() Receiver { return &connReceiver{group: g} }

func (g *connGroup) Wait() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.await(true)
}

// A wholeConn is a Conn that can also send datagrams which are not fragmented. In other
// Conns, nothing is known about fragments.
type wholeConn interface {
	WriteWhole(b []byte, size int, to netip.AddrPort) error
}

// Send leaves the source address, ECN, TOS and TTL to the Conn. All
// goroutines may share it. After an error it sends the datagrams of a train again, one by
// one, so that one error costs one datagram: a TCP that loses all that it has in flight
// waits for its timer. WireGuard discards those that arrive twice.
func (g *connGroup) Send(b *batch.Batch) error {
	stride := b.Stride
	if stride <= 0 || stride > len(b.Data) {
		stride = len(b.Data)
	}
	switch {
	case g.closed.Load():
		return os.ErrClosed
	case !b.Remote.IsValid():
		return ErrBadEndpoint
	case !g.has(b.Remote.Remote.Addr()):
		return ErrNoFamily
	}
	write := g.conn.Write
	if whole, ok := g.conn.(wholeConn); ok && b.DontFragment {
		write = whole.WriteWhole
	}
	err := write(b.Data, stride, b.Remote.Remote)
	if err != nil && len(b.Data) > stride && !errors.Is(err, ErrBacklog) && !g.closed.Load() {
		err = sendEach(write, b.Data, stride, b.Remote.Remote)
	}
	if err != nil && g.closed.Load() {
		return os.ErrClosed
	}
	return err
}

// sendEach sends the datagrams of a train one by one. It returns the first error, and
// stops at the second one in a row, because the others would fail as well.
func sendEach(write func([]byte, int, netip.AddrPort) error, data []byte, stride int, to netip.AddrPort) (err error) {
	failed := 0 // in a row
	for len(data) > 0 && failed < 2 {
		one := data[:min(stride, len(data))]
		data = data[len(one):]
		failed++
		if e := write(one, len(one), to); e == nil {
			failed = 0
		} else if err == nil {
			err = e
		}
	}
	return err
}

func (g *connGroup) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(g.Send, bs, errs) }

func (g *connGroup) NewSender() Sender { return g }

func (g *connGroup) Caps() Caps { return g.caps }

func (g *connGroup) Socket(int) Socket { return g }

func (g *connGroup) SetSockets(n int) error {
	if n != 1 {
		return errors.ErrUnsupported
	}
	return nil
}

func (g *connGroup) SteerToFirst() bool { return true }

// SetMark refuses every mark: the system, or the transport, has none.
func (g *connGroup) SetMark(mark uint32) error {
	if mark == 0 {
		return nil
	}
	return &MarkRefused{Mark: mark, Cause: errors.ErrUnsupported}
}

func (g *connGroup) Forget() {}

// Close closes the Conn, and waits until it is not read any more.
func (g *connGroup) Close() error {
	if g.closed.Swap(true) {
		<-g.ended
		return nil
	}
	err := g.conn.Close()
	g.mu.Lock()
	g.arrived.Broadcast()
	g.taken.Broadcast()
	g.mu.Unlock()
	<-g.ended
	return err
}
