package netstack

import (
	"bytes"
	"container/heap"
	"io"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/faketime"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"wgd/internal/packet"
)

// A virtualPath is a path between two stacks in virtual time. The time passes only
// when both stacks have nothing to do, so a loaded machine changes nothing.
type virtualPath struct {
	t     testing.TB
	clock *faketime.ManualClock
	a, b  *Stack
	// pass decides about a packet that a or b sends: how long it is on its way, or
	// that it is lost.
	pass func(p []byte, fromA bool) (delay time.Duration, lost bool)

	flights flights
	sent    int // packets, ever; it orders those that arrive at the same time
	buf     []byte
}

// A flight is a packet on its way, behind its virtio header.
type flight struct {
	at    time.Time
	order int
	toB   bool
	frame []byte
}

type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	return f[i].at.Before(f[j].at) || f[i].at.Equal(f[j].at) && f[i].order < f[j].order
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

func newVirtualPath(t testing.TB) *virtualPath {
	t.Helper()
	v := &virtualPath{t: t, clock: faketime.NewManualClock(), buf: make([]byte, packet.VirtioHeaderSize+65535)}
	for _, end := range []struct {
		s       **Stack
		address string
	}{{&v.a, "10.2.0.1/24"}, {&v.b, "10.2.0.42/24"}} {
		s, err := newStack(Options{Addresses: []netip.Prefix{netip.MustParsePrefix(end.address)}}, v.clock)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		*end.s = s
	}
	return v
}

// send puts a packet on its way, to b or to a.
func (v *virtualPath) send(frame []byte, toB bool, delay time.Duration) {
	v.sent++
	heap.Push(&v.flights, flight{v.clock.Now().Add(delay), v.sent, toB, frame})
}

// collect puts what the stacks have sent on its way. It reports whether there was
// anything.
func (v *virtualPath) collect() (any bool) {
	var s packet.Segments
	for _, from := range []*Stack{v.a, v.b} {
		for {
			n, ok, err := from.TryRead(v.buf)
			if err != nil {
				v.t.Fatal(err)
			}
			if !ok {
				break
			}
			any = true
			s.Reset(v.buf[:n])
			for n := s.Next(); n > 0; n = s.Next() {
				frame := make([]byte, packet.VirtioHeaderSize+n)
				s.Put(frame[packet.VirtioHeaderSize:])
				if delay, lost := v.pass(frame[packet.VirtioHeaderSize:], from == v.a); !lost {
					v.send(frame, from == v.a, delay)
				}
			}
		}
	}
	return any
}

// settle waits until the stacks have processed everything that arrived. use reads
// from and writes to connections, and reports whether it did.
func (v *virtualPath) settle(use func() bool) {
	for {
		for _, s := range []*Stack{v.a, v.b} { // the stack pauses when it has processed its queues
			s.stack.Pause()
			s.stack.Resume()
		}
		v.clock.RunImmediatelyScheduledJobs()
		collected, used := v.collect(), use()
		if !collected && !used {
			return
		}
	}
}

// run lets time pass until done returns true, or for at most limit.
func (v *virtualPath) run(limit time.Duration, use, done func() bool) (took time.Duration, ok bool) {
	const step = time.Millisecond // how late a packet may leave that a timer sends
	begin := v.clock.Now()
	for {
		v.settle(use)
		now := v.clock.Now()
		if done() {
			return now.Sub(begin), true
		}
		if now.Sub(begin) > limit {
			return limit, false
		}
		next := step
		if len(v.flights) > 0 {
			next = min(next, v.flights[0].at.Sub(now))
		}
		v.clock.Advance(next)
		for len(v.flights) > 0 && !v.flights[0].at.After(v.clock.Now()) {
			f := heap.Pop(&v.flights).(flight)
			to := v.a
			if f.toB {
				to = v.b
			}
			if err := to.Write([][]byte{f.frame}); err != nil {
				v.t.Fatal(err)
			}
		}
	}
}

// transfer sends an amount from a to b through a new connection, and returns how
// long that took, from the first SYN to the last byte, but at most limit.
func (v *virtualPath) transfer(port uint16, amount int, limit time.Duration) (took time.Duration, received int) {
	v.t.Helper()
	return v.transferTo([4]byte{10, 2, 0, 42}, port, amount, limit)
}

func (v *virtualPath) transferTo(address [4]byte, port uint16, amount int, limit time.Duration) (took time.Duration, received int) {
	v.t.Helper()
	check := func(err tcpip.Error) {
		v.t.Helper()
		if err != nil {
			v.t.Fatal(err)
		}
	}
	var queues [2]waiter.Queue
	listener, err := v.b.stack.NewEndpoint(tcp.ProtocolNumber, header.IPv4ProtocolNumber, &queues[0])
	check(err)
	defer listener.Close()
	check(listener.Bind(tcpip.FullAddress{Port: port}))
	check(listener.Listen(maxBacklog))
	from, err := v.a.stack.NewEndpoint(tcp.ProtocolNumber, header.IPv4ProtocolNumber, &queues[1])
	check(err)
	defer from.Abort()
	if err := from.Connect(tcpip.FullAddress{Addr: tcpip.AddrFrom4(address), Port: port}); err == nil {
		v.t.Fatal("connected before anything was sent")
	}
	var to tcpip.Endpoint
	written, zero := 0, make([]byte, 64<<10)
	use := func() (any bool) {
		for written < amount {
			n, err := from.Write(bytes.NewReader(zero[:min(len(zero), amount-written)]), tcpip.WriteOptions{})
			if err != nil || n == 0 {
				break
			}
			written, any = written+int(n), true
		}
		if to == nil {
			if to, _, _ = listener.Accept(nil); to == nil {
				return any
			}
			any = true
		}
		for {
			r, err := to.Read(io.Discard, tcpip.ReadOptions{})
			if err != nil || r.Count == 0 {
				return any
			}
			to.ModerateRecvBuf(r.Count) // as package gonet does
			received, any = received+r.Count, true
		}
	}
	took, _ = v.run(limit, use, func() bool { return received == amount })
	if to != nil {
		to.Abort()
	}
	return took, received
}
