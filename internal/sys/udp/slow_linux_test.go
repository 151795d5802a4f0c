package udp

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// fakeNetwork simulates the network: each slow destination, by port, has a queue that
// drains at its rate; all others share a device of 10 Gbit/s, which reports sent
// datagrams in batches. Time is virtual.
type fakeNetwork struct {
	t        *testing.T
	now      time.Duration
	slept    time.Duration
	capacity int
	rates    map[uint16]float64 // bytes a second
	free     map[uint16]time.Duration
	waiting  map[uint64][]leaving // by socket
	refused  map[uint16]int       // EAGAIN, by port
	longest  map[uint16]time.Duration
	accepted map[uint16]int // bytes
}

type leaving struct {
	at    time.Duration
	bytes int
}

// newFakeNetwork connects the IPv4 sockets of p to a fakeNetwork.
func newFakeNetwork(t *testing.T, p *testPair, granted int) *fakeNetwork {
	o := &fakeNetwork{t: t, now: time.Hour, capacity: 2 * granted, rates: map[uint16]float64{}, free: map[uint16]time.Duration{}, waiting: map[uint64][]leaving{},
		refused: map[uint16]int{}, longest: map[uint16]time.Duration{}, accepted: map[uint16]int{}}
	c := p.V4.conn
	c.caps.SendBuffer = granted
	c.sendOptions.buffer = granted
	c.calls.now = func() time.Duration { return o.now }
	c.calls.sleep = func(d time.Duration) { o.now += d; o.slept += d }
	c.calls.queued = func(fd uintptr) int { return o.queued(inode(t, fd)) }
	c.calls.sendmsg = func(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
		return int(h.Iov.Len), o.send(fd, h, int(h.Iov.Len))
	}
	c.calls.sendmmsg = func(fd uintptr, hs []mmsghdr) (int, syscall.Errno) {
		for i := range hs {
			if errno := o.send(fd, &hs[i].hdr, int(hs[i].hdr.Iov.Len)); errno != 0 {
				return i, map[bool]syscall.Errno{true: errno}[i == 0]
			}
		}
		return len(hs), 0
	}
	return o
}

// inode identifies a socket, even if it reuses the descriptor of a closed one.
func inode(t *testing.T, fd uintptr) uint64 {
	var st unix.Stat_t
	if err := unix.Fstat(int(fd), &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func (o *fakeNetwork) queued(socket uint64) (n int) {
	list := slices.DeleteFunc(o.waiting[socket], func(l leaving) bool { return l.at <= o.now })
	o.waiting[socket] = list
	for _, l := range list {
		n += l.bytes
	}
	return n
}

func (o *fakeNetwork) send(fd uintptr, h *unix.Msghdr, size int) syscall.Errno {
	to := uint16(unsafeBytes(h.Name, 4)[2])<<8 | uint16(unsafeBytes(h.Name, 4)[3])
	socket := inode(o.t, fd)
	if o.queued(socket) >= o.capacity {
		o.refused[to]++
		return unix.EAGAIN
	}
	o.accepted[to] += size
	device, rate, tells := to, o.rates[to], time.Duration(1)
	if rate == 0 {
		device, rate, tells = 0, 10e9/8, 50*time.Microsecond
	}
	o.free[device] = max(o.now, o.free[device]) + time.Duration(float64(size)/rate*1e9)
	o.longest[to] = max(o.longest[to], o.free[device]-o.now)
	o.waiting[socket] = append(o.waiting[socket], leaving{(o.free[device] + tells - 1) / tells * tells, size + 300})
	return 0
}

// traffic is a flow to one destination: a train of 10 datagrams in each interval.
type traffic struct {
	port     uint16
	interval time.Duration
	sent     int // trains
	lost     int
	next     time.Duration
}

const trainSize = 10 * 1400

// run sends all traffic for the given span, and a control message every 10 ms, which
// must pass at once.
func (o *fakeNetwork) run(p *testPair, all []*traffic, span time.Duration) {
	o.t.Helper()
	begun, urgent := o.now, o.now
	for i, f := range all {
		f.next = max(f.next, o.now+f.interval*time.Duration(i)/time.Duration(len(all)))
	}
	for o.now < begun+span {
		f := slices.MinFunc(all, func(a, b *traffic) int { return int(a.next - b.next) })
		if o.now = max(o.now, f.next); o.now >= urgent {
			urgent = o.now + 10*time.Millisecond
			before := o.slept
			b := numbered(1, 148, 148, endpoint("192.0.2.1", f.port, "", 0))
			if b.Class = batch.Control; p.Send(b) != nil || o.slept != before {
				o.t.Fatalf("a control message waits, or is refused, after %v", o.now-begun)
			}
		}
		f.next += f.interval
		f.sent++
		o.now += 5 * time.Microsecond
		if err := p.Send(numbered(10, 1400, 1400, endpoint("192.0.2.1", f.port, "", 0))); err != nil {
			if f.lost++; !errors.Is(err, ErrBacklog) {
				o.t.Fatal(err)
			}
		}
	}
}

// fast returns traffic to n destinations with successive ports.
func fast(n int, port uint16, interval time.Duration) (list []*traffic) {
	for i := range n {
		list = append(list, &traffic{port: port + uint16(i), interval: interval})
	}
	return list
}

// However many destinations there are, and however slow some of them are, all others
// lose next to nothing, no Send waits, and control messages pass. A slow one receives
// at the rate of its path, with a limited delay.
func TestSlowDestinations(t *testing.T) {
	const slow5, slow50 = 5e6 / 8, 50e6 / 8 // bytes a second
	for _, c := range []struct {
		name    string
		slow    []float64
		load    float64 // the rate sent to slow destinations, relative to the rate of their path
		others  []*traffic
		granted int
	}{
		{"one and ten", []float64{slow5}, 10, fast(10, 100, time.Millisecond), BufferSize},
		{"one, just too much", []float64{slow5}, 1.2, fast(10, 100, time.Millisecond), BufferSize},
		{"one, very much", []float64{slow5}, 200, fast(10, 100, time.Millisecond), BufferSize},
		{"one and a crowd", []float64{slow5}, 4, fast(400, 100, 20*time.Millisecond), BufferSize},
		{"three", []float64{slow5 / 5, slow5, slow50}, 3, fast(10, 100, time.Millisecond), BufferSize},
		{"more than sockets", slices.Repeat([]float64{slow5}, 80), 4, fast(20, 100, time.Millisecond), BufferSize},
		{"small buffers", []float64{slow5}, 10, fast(10, 100, time.Millisecond), 200 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pair(t, Options{})
			o := newFakeNetwork(t, p, c.granted)
			all := slices.Clone(c.others)
			var slow []*traffic
			for i, rate := range c.slow {
				f := &traffic{port: 2000 + uint16(i)}
				f.interval = time.Duration(trainSize / (rate * c.load) * 1e9)
				o.rates[f.port] = rate
				slow = append(slow, f)
			}
			all = append(all, slow...)
			o.run(p, all, 2*time.Second) // until the slow destinations are known
			clear(o.longest)
			clear(o.accepted)
			o.run(p, all, 8*time.Second)
			if o.slept > 0 && len(c.slow) < maxSlowSockets {
				t.Errorf("Send waited for %v", o.slept)
			}
			for _, f := range c.others {
				if f.lost*100 > f.sent {
					t.Errorf("port %d: %d of %d lost", f.port, f.lost, f.sent)
				}
			}
			for i, f := range slow {
				carried := float64(o.accepted[f.port]) / 8
				t.Logf("slow %d: %.0f%% of what it carries, %d of %d lost, longest %v", i, 100*carried/c.slow[i], f.lost, f.sent, o.longest[f.port])
				if carried < 0.9*c.slow[i] && len(c.slow) < maxSlowSockets {
					t.Errorf("port %d: sent only %.0f of %.0f bytes a second", f.port, carried, c.slow[i])
				}
				longest := maxDelay + maxDelay/2 + time.Duration(3*trainSize/c.slow[i]*1e9)
				if shortest := time.Duration(minLimit / c.slow[i] * 1e9); len(c.slow) < maxSlowSockets && o.longest[f.port] > max(longest, shortest+maxDelay) {
					t.Errorf("port %d: datagrams were delayed by up to %v", f.port, o.longest[f.port])
				}
			}
			if n := len(p.V4.conn.slow.list); n > maxSlowSockets {
				t.Errorf("%d sockets", n)
			}
		})
	}
}

// makeSlow makes a destination slow and sends to it until it has its own socket.
func (o *fakeNetwork) makeSlow(p *testPair, port uint16) *traffic {
	o.t.Helper()
	o.rates[port] = 5e6 / 8
	f := &traffic{port: port, interval: 2 * time.Millisecond}
	o.run(p, []*traffic{f}, 2*time.Second)
	if f.lost == 0 || p.V4.conn.slow.find(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port)) == nil {
		o.t.Fatal("the slow destination has no socket of its own")
	}
	return f
}

// A destination loses its own socket when it is fast again, when nothing is sent to it
// any more, and after a change of routes or of the mark. No descriptor is left open.
func TestSlowSocketsEnd(t *testing.T) {
	for name, change := range map[string]func(o *fakeNetwork, p *testPair, slow *traffic){
		"quick again": func(o *fakeNetwork, p *testPair, slow *traffic) {
			delete(o.rates, slow.port)
			o.run(p, []*traffic{slow}, fastAfter+time.Second)
		},
		"idle": func(o *fakeNetwork, p *testPair, _ *traffic) {
			o.now += fastAfter + time.Second
			o.run(p, fast(1, 100, time.Millisecond), time.Second)
		},
		"routes": func(_ *fakeNetwork, p *testPair, _ *traffic) { p.Forget() },
		"closed": func(_ *fakeNetwork, p *testPair, _ *traffic) { p.Close() },
	} {
		p := pair(t, Options{})
		before := descriptors(t)
		o := newFakeNetwork(t, p, BufferSize)
		slow := o.makeSlow(p, 2000)
		change(o, p, slow)
		if l := &p.V4.conn.slow; l.assigned.Load() != nil || len(l.list) != 0 || len(p.V4.conn.group.sendSockets) != 0 {
			t.Errorf("%s: the destination still has its own socket", name)
		}
		if after := descriptors(t); after > before {
			t.Errorf("%s: %d descriptors before, %d after", name, before, after)
		}
	}
}

// A sendSocket handles slow destinations as its Group does, with its own options.
func TestSlowSocketsOfSendSocket(t *testing.T) {
	p := pair(t, Options{})
	o := newFakeNetwork(t, p, BufferSize)
	s := openSendSocket(t, p, "192.0.2.1", sendOptions{dontFragment: true})
	o.rates[2000] = 5e6 / 8
	lost := 0
	for range 2000 {
		o.now += time.Millisecond
		if s.Send(numbered(10, 1400, 1400, endpoint("192.0.2.1", 2000, "", 0))) == ErrBacklog {
			lost++
		}
	}
	if lost == 0 || len(s.slow.list) != 1 || len(p.V4.conn.slow.list) != 0 {
		t.Fatalf("%d lost; %d sockets of its own, %d of the Conn", lost, len(s.slow.list), len(p.V4.conn.slow.list))
	}
	if got := value(t, s.slow.list[0].conn, [2]int{unix.SOL_IP, unix.IP_MTU_DISCOVER}); got != unix.IP_PMTUDISC_PROBE {
		t.Errorf("IP_MTU_DISCOVER is %d", got)
	}
	s.Close()
	if n := len(p.V4.conn.group.sendSockets); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
}

// If no socket can be opened, data waits briefly, for at most a twentieth of the time.
// A part of the buffer is reserved for replies to strangers and control messages, and a
// part for control messages alone.
func TestNoSocketForSlowDestinations(t *testing.T) {
	p := pair(t, Options{})
	o := newFakeNetwork(t, p, BufferSize)
	c := p.V4.conn
	for range maxSendSockets {
		openSendSocket(t, p, "192.0.2.1", sendOptions{})
	}
	o.rates[2000] = 5e6 / 8
	send := func(class batch.Class, port uint16) (refused bool) {
		o.now += 100 * time.Microsecond
		b := numbered(10, 1400, 1400, endpoint("192.0.2.1", port, "", 0))
		b.Class = class
		err := p.Send(b)
		if err != nil && err != ErrBacklog {
			t.Fatal(err)
		}
		return err != nil
	}
	fill := func(class batch.Class) {
		for i := 0; !send(class, 2000); i++ {
			if i > 10000 {
				t.Fatalf("class %d is never refused", class)
			}
		}
	}
	fill(batch.Data)
	if o.slept == 0 || o.slept > maxWaits*oneWait {
		t.Errorf("data waited for %v", o.slept)
	}
	for begun, slept := o.now, o.slept; o.now < begun+time.Second; {
		send(batch.Data, 2000)
		if o.slept-slept > (o.now-begun)/waitShare+maxWaits*oneWait {
			t.Fatalf("of %v, data waited for %v", o.now-begun, o.slept-slept)
		}
	}
	if n := c.tx.query(); n < c.capacity().data()-100_000 || n > c.capacity().data()+100_000 {
		t.Errorf("%d bytes wait when data is refused", n)
	}
	fill(batch.Reply)
	if n := c.tx.query(); n < c.capacity().replies()-100_000 || n > c.capacity().replies()+300_000 {
		t.Errorf("%d bytes wait when replies are refused", n)
	}
	if send(batch.Control, 2000) {
		t.Error("a control message is refused though there is room")
	}
	o.now += time.Minute
	if send(batch.Data, 2000) || send(batch.Reply, 2000) {
		t.Error("data is refused though there is room again")
	}
}

// If a socket accepts nothing, data waits briefly, the first time only. Other classes
// do not wait.
func TestFullSocket(t *testing.T) {
	p := pair(t, Options{})
	o := newFakeNetwork(t, p, BufferSize)
	c := p.V4.conn
	c.calls.sendmsg = func(uintptr, *unix.Msghdr) (int, syscall.Errno) { return 0, unix.EAGAIN }
	want := map[batch.Class]time.Duration{batch.Control: 0, batch.Reply: 0, batch.Data: maxWaits * oneWait}
	for _, class := range []batch.Class{batch.Control, batch.Reply, batch.Data} {
		b := numbered(1, 100, 100, endpoint("192.0.2.1", 9, "", 0))
		b.Class = class
		for range 3 {
			if err := p.Send(b); err != ErrBacklog {
				t.Errorf("class %d: %v", class, err)
			}
		}
		if o.slept != want[class] {
			t.Errorf("class %d: waited for %v", class, o.slept)
		}
	}
	// While data waits, no other Send waits for a lock.
	waiting := make(chan struct{})
	c.calls.sleep = func(time.Duration) { waiting <- struct{}{}; <-waiting }
	c.tx.stuck = false
	done := make(chan error)
	go func() { done <- p.Send(numbered(1, 100, 100, endpoint("192.0.2.1", 9, "", 0))) }()
	<-waiting
	b := numbered(1, 100, 100, endpoint("192.0.2.1", 9, "", 0))
	b.Class = batch.Control
	if err := p.Send(b); err != ErrBacklog {
		t.Error(err)
	}
	c.calls.sleep = func(time.Duration) {}
	waiting <- struct{}{}
	<-done
}
