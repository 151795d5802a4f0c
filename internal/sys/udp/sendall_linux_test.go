package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// sendAll sends trains with one SendAll, and returns the errors.
func sendAll(s Sender, trains ...*batch.Batch) []error {
	bs, errs := make([]batch.Batch, len(trains)), make([]error, len(trains))
	for i, b := range trains {
		bs[i], errs[i] = *b, errors.New("SendAll says nothing about the train")
	}
	s.SendAll(bs, errs)
	return errs
}

// wantErrors compares errors, in the sense of errors.Is.
func wantErrors(t *testing.T, got []error, want ...error) {
	t.Helper()
	for i, err := range got {
		if !errors.Is(err, want[i]) {
			t.Errorf("train %d: %v, want %v", i, err, want[i])
		}
	}
}

// scattered returns n trains of one datagram to addresses 127.1.0.1 and following; train
// i has 100+i bytes.
func scattered(n int, port uint16) (trains []*batch.Batch) {
	for i := range n {
		to := netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i + 1)})
		trains = append(trains, numbered(1, 100+i, 100+i, wire.NewEndpoint(netip.AddrPortFrom(to, port), netip.Addr{}, 0)))
	}
	return trains
}

// arrivals receives n datagrams, and returns their lengths.
func arrivals(t *testing.T, c testGroup, n int) (lengths []int) {
	t.Helper()
	bs := make([]batch.Batch, MaxDepth)
	for len(lengths) < n {
		k, err := recvWithin(c, bs)
		if err != nil {
			t.Fatalf("after %d of %d datagrams: %v", len(lengths), n, err)
		}
		for _, b := range bs[:k] {
			for i := range b.Count() {
				lengths = append(lengths, len(b.At(i)))
			}
		}
	}
	if size, errno := pending(c.conn); errno != unix.EAGAIN {
		t.Fatalf("more arrived than was sent: %d bytes, %v", size, errno)
	}
	return lengths
}

// A destination's datagrams arrive in the order in which they were given to Send and
// SendAll, whatever their class and length, and whatever is sent to others in between.
// Each has the source (A52), ECN and TOS (A56) of its train.
func TestSendAllKeepsTheOrder(t *testing.T) {
	ownNetwork(t)
	for i := range 4 {
		ip(t, "address add fd01::%d dev lo nodad", i+1)
		awaitAddress(t, fmt.Sprintf("fd01::%d", i+1))
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, o := range []Options{{}, {NoGSO: true}} {
		a, b := pair(t, o), pair(t, Options{})
		m := mixture{t: t, r: r, port: b.Port(), sent: make(map[netip.Addr][]batch.Batch), arrived: make(map[netip.Addr]int)}
		for range 100 {
			var trains []*batch.Batch
			for range 1 + r.IntN(130) {
				trains = append(trains, m.next())
			}
			wantErrors(t, sendAll(a, trains...), make([]error, len(trains))...)
			trains = append(trains, m.next())
			if err := a.Send(trains[len(trains)-1]); err != nil {
				t.Fatal(err)
			}
			total := 0
			for _, x := range trains {
				total += x.Count()
			}
			bs, end := make([]batch.Batch, MaxDepth), time.Now().Add(5*time.Second)
			for i := 0; total > 0; i++ {
				n, err := []testGroup{b.V4, b.V6}[i%2].TryRecv(bs)
				if err != nil || time.Now().After(end) {
					t.Fatalf("%d datagrams are missing: %v", total, err)
				}
				for i := range n {
					m.arrives(&bs[i])
					total -= bs[i].Count()
				}
			}
		}
	}
}

// awaitAddress waits until datagrams to a new IPv6 address of this host arrive: the kernel
// adds the route to it a little later.
func awaitAddress(t *testing.T, address string) {
	t.Helper()
	a := pair(t, Options{})
	defer a.Close()
	for range 5000 {
		if err := a.Send(numbered(1, 10, 10, endpoint(address, a.Port(), "", 0))); err != nil {
			t.Fatal(err)
		}
		if n, _ := a.V6.TryRecv(make([]batch.Batch, 1)); n > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("nothing arrives at %s", address)
}

// A mixture is random trains to some addresses. Each datagram begins with its number among
// those to its address.
type mixture struct {
	t       *testing.T
	r       *rand.Rand
	port    uint16
	sent    map[netip.Addr][]batch.Batch // of each datagram, with its length as Stride
	arrived map[netip.Addr]int
}

func (m *mixture) next() *batch.Batch {
	r := m.r
	to, source := netip.AddrFrom4([4]byte{127, 0, 1, byte(r.IntN(12))}), netip.MustParseAddr("127.0.0.3")
	if r.IntN(3) == 0 {
		to, source = netip.AddrFrom16([16]byte{0: 0xfd, 1: 1, 15: byte(1 + r.IntN(4))}), netip.MustParseAddr("fd01::4")
	}
	if r.IntN(2) == 0 {
		source = netip.Addr{}
	}
	x := numbered(1+max(0, r.IntN(9)-3), 20+r.IntN(1400), 10, wire.NewEndpoint(netip.AddrPortFrom(to, m.port), source, 0))
	x.ECN, x.TOS = byte(r.IntN(4)), byte(r.IntN(2)*0x88)
	x.DontFragment = r.IntN(20) == 0
	if r.IntN(20) == 0 {
		x.Class = batch.Control
	}
	for i := range x.Count() {
		one := *x
		one.Stride = len(x.At(i))
		binary.BigEndian.PutUint32(x.At(i), uint32(len(m.sent[to])))
		m.sent[to] = append(m.sent[to], one)
	}
	return x
}

func (m *mixture) arrives(got *batch.Batch) {
	m.t.Helper()
	to := got.Remote.Source
	for i := range got.Count() {
		number := m.arrived[to]
		if n := int(binary.BigEndian.Uint32(got.At(i))); n != number {
			m.t.Fatalf("to %v: datagram %d arrived in place of %d", to, n, number)
		}
		sent := m.sent[to][number]
		from := sent.Remote.Source
		if len(got.At(i)) != sent.Stride || got.ECN != sent.ECN || got.TOS != sent.TOS || from.IsValid() && from != got.Remote.Remote.Addr() {
			m.t.Fatalf("to %v: got %+v, sent %+v", to, got, sent)
		}
		m.arrived[to]++
	}
}

// Trains that are one message each take one call for up to MaxSegments of them.
func TestSendAllIsOneCall(t *testing.T) {
	for _, c := range []struct{ trains, calls, singles int }{{1, 0, 1}, {2, 1, 0}, {64, 1, 0}, {65, 1, 1}, {130, 3, 0}} {
		a, b := pair(t, Options{}), pair(t, Options{})
		k := &faultyKernel{}
		k.install(a.V4)
		a.V4.conn.tx.budget = queryAfter
		trains := scattered(c.trains, b.Port())
		wantErrors(t, sendAll(a, trains...), make([]error, len(trains))...)
		for i, n := range arrivals(t, b.V4, len(trains)) {
			if n != 100+i {
				t.Fatalf("%d trains: datagram %d has %d bytes", c.trains, i, n)
			}
		}
		if k.singles != c.calls || k.trains != c.singles {
			t.Errorf("%d trains: %d calls of sendmmsg and %d of sendmsg, want %d and %d", c.trains, k.singles, k.trains, c.calls, c.singles)
		}
		for i, v := range a.V4.conn.tx.iovs {
			if v.Base != nil {
				t.Fatalf("message %d keeps the caller's buffer alive", i)
			}
		}
	}
	// Segmented trains and single datagrams together.
	a, b := pair(t, Options{}), pair(t, Options{NoGRO: true})
	k := &faultyKernel{}
	k.install(a.V4)
	a.V4.conn.tx.budget = queryAfter
	trains := scattered(3, b.Port())
	trains[1] = numbered(5, 300, 7, trains[1].Remote)
	wantErrors(t, sendAll(a, trains...), nil, nil, nil)
	if got, want := arrivals(t, b.V4, 7), []int{100, 300, 300, 300, 300, 7, 102}; !slices.Equal(got, want) || k.singles != 1 || k.trains != 0 {
		t.Errorf("got datagrams of %d bytes, want %d; %+v", got, want, k)
	}
}

// However the families alternate, there is one call for each, and each train has its own
// error.
func TestSendAllToBothFamilies(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	k4, k6 := &faultyKernel{}, &faultyKernel{}
	k4.install(a.V4)
	k6.install(a.V6)
	a.V4.conn.tx.budget, a.V6.conn.tx.budget = queryAfter, queryAfter
	trains, want := scattered(20, b.Port()), make([]error, 20)
	var over4, over6 []int
	for i, x := range trains {
		switch {
		case i == 7:
			x.Remote.Remote = netip.AddrPortFrom(x.Remote.Remote.Addr(), 0)
			want[i] = ErrBadEndpoint
		case i%3 > 0:
			x.Remote = endpoint("::1", b.Port(), "", 0)
			over6 = append(over6, len(x.Data))
		default:
			over4 = append(over4, len(x.Data))
		}
	}
	for range 2 {
		k4.singles, k6.singles = 0, 0
		wantErrors(t, sendAll(a, trains...), want...)
		if got := arrivals(t, b.V4, len(over4)); !slices.Equal(got, over4) || k4.singles > 2 {
			t.Errorf("over IPv4: %d arrived in %d calls, want %d", got, k4.singles, over4)
		}
		if got := arrivals(t, b.V6, len(over6)); !slices.Equal(got, over6) || k6.singles != 1 {
			t.Errorf("over IPv6: %d arrived in %d calls, want %d in one", got, k6.singles, over6)
		}
		s := a.Sender.(*pairSender)
		for i := range s.family[:cap(s.family)] {
			if s.family[:cap(s.family)][i].Data != nil {
				t.Fatalf("train %d is kept alive", i)
			}
		}
	}
}

// What Send would not send with one message of the shared socket, it sends also here: other
// classes than data, and trains for which the kernel has no segmentation.
func TestSendAllLeavesTheRestToSend(t *testing.T) {
	a, b := pair(t, Options{NoGSO: true}), pair(t, Options{NoGRO: true})
	var together [][]int // lengths of the messages
	k := &faultyKernel{single: func(_ int, hs []mmsghdr) (int, syscall.Errno) {
		var lengths []int
		for i := range hs {
			lengths = append(lengths, int(hs[i].hdr.Iov.Len))
			if hs[i].hdr.Controllen > 0 {
				t.Error("a message has UDP_SEGMENT")
			}
		}
		together = append(together, lengths)
		return len(hs), 0
	}}
	k.install(a.V4)
	a.V4.conn.tx.budget = queryAfter
	trains := scattered(8, b.Port())
	trains[2].Class, trains[5].Class = batch.Control, batch.Reply
	trains[6] = numbered(3, 30, 30, trains[6].Remote)
	wantErrors(t, sendAll(a, trains...), make([]error, 8)...)
	if got, want := arrivals(t, b.V4, 10), []int{100, 101, 102, 103, 104, 105, 30, 30, 30, 107}; !slices.Equal(got, want) {
		t.Errorf("got datagrams of %d bytes, want %d", got, want)
	}
	if want := [][]int{{100, 101}, {103, 104}, {30, 30, 30}}; !reflect.DeepEqual(together, want) || k.trains != 3 {
		t.Errorf("several messages in a call: %d, want %d; %d other calls, want 3", together, want, k.trains)
	}
}

// A train that must not be fragmented is not, and those before and after it may be (A46).
// Link-local addresses keep their scope (A54).
func TestSendAllFragmentsAndScopes(t *testing.T) {
	a, b, wa, _ := twoHosts(t, 1300)
	for _, to := range []string{"10.7.0.2", "fd07::2", fmt.Sprintf("fe80::2%%%d", wa), "fe80::2%wa"} {
		receiver := b.V6
		if to == "10.7.0.2" {
			receiver = b.V4
		}
		var trains []*batch.Batch
		for i := range 8 {
			trains = append(trains, numbered(1, 1400+i, 1400+i, endpoint(to, b.Port(), "", 0)))
		}
		trains[2].DontFragment, trains[3].DontFragment = true, true
		wantErrors(t, sendAll(a, trains...), nil, nil, unix.EMSGSIZE, unix.EMSGSIZE, nil, nil, nil, nil)
		if got, want := arrivals(t, receiver, 6), []int{1400, 1401, 1404, 1405, 1406, 1407}; !slices.Equal(got, want) {
			t.Errorf("%s: got datagrams of %d bytes, want %d", to, got, want)
		}
	}
}

// Each train has its own TTL, or the default (A46).
func TestSendAllTTL(t *testing.T) {
	a := pair(t, Options{})
	fd, port := ttlSocket(t, ttlFamilies[0])
	var trains []*batch.Batch
	for _, ttl := range []byte{0, 59, 59, 1, 0} {
		x := numbered(1, 100, 100, endpoint("127.0.0.1", port, "", 0))
		x.TTL = ttl
		trains = append(trains, x)
	}
	wantErrors(t, sendAll(a, trains...), nil, nil, nil, nil, nil)
	for i, want := range []int{64, 59, 59, 1, 64} {
		if got := receivedTTL(t, fd, unix.SOL_IP, unix.IP_TTL); got != want {
			t.Errorf("train %d: TTL %d, want %d", i, got, want)
		}
	}
}

// A train that cannot be sent has the error that Send returns, and does not affect the
// others: there is no route, no source any more (A52), too long a datagram, no endpoint,
// no family (B21).
func TestSendAllFailsInTheMiddle(t *testing.T) {
	a, b, wa, _ := twoHosts(t, 1500)
	trains := func(family int) (list []*batch.Batch, want []error, arrive []int) {
		host, other := "10.7.0.2", "10.99.0.1"
		gone := endpoint(host, b.Port(), "10.7.0.77", wa)
		if family == 6 {
			host, other = "fd07::2", "fd99::1"
			gone = endpoint(host, b.Port(), "fd07::77", wa)
		}
		good, nowhere := endpoint(host, b.Port(), "", 0), endpoint(other, b.Port(), "", 0)
		add := func(length int, to wire.Endpoint, err error) {
			list, want = append(list, numbered(1, length, length, to)), append(want, err)
			if batch.Sent(err) {
				arrive = append(arrive, length)
			}
		}
		add(100, nowhere, unix.ENETUNREACH)
		add(101, good, nil)
		add(102, good, nil)
		add(103, nowhere, unix.ENETUNREACH)
		add(104, nowhere, unix.ENETUNREACH)
		add(105, gone, ErrSourceGone)
		add(106, good, nil)
		add(66000, good, unix.EMSGSIZE)
		add(107, good, nil)
		add(108, wire.Endpoint{}, ErrBadEndpoint)
		add(109, good, nil)
		add(110, nowhere, unix.ENETUNREACH)
		return list, want, arrive
	}
	list4, want4, arrive4 := trains(4)
	list6, want6, arrive6 := trains(6)
	check := func(s Sender, list []*batch.Batch, want []error, arrive4, arrive6 []int) {
		t.Helper()
		wantErrors(t, sendAll(s, list...), want...)
		if got := arrivals(t, b.V4, len(arrive4)); !slices.Equal(got, arrive4) {
			t.Errorf("datagrams of %d bytes arrived over IPv4, want %d", got, arrive4)
		}
		if got := arrivals(t, b.V6, len(arrive6)); !slices.Equal(got, arrive6) {
			t.Errorf("datagrams of %d bytes arrived over IPv6, want %d", got, arrive6)
		}
	}
	check(a, list4, want4, arrive4, nil)
	check(a, list6, want6, nil, arrive6)
	check(a, slices.Concat(list4, list6), slices.Concat(want4, want6), arrive4, arrive6)
	only4 := slices.Clone(want6)
	for i := range only4 {
		if list6[i].Remote.IsValid() {
			only4[i] = ErrNoFamily
		}
	}
	check(&pairSender{v4: a.V4.NewSender()}, slices.Concat(list6, list4), slices.Concat(only4, want4), arrive4, nil)
	check(a.V4.NewSender(), slices.Concat(list6, list4), slices.Concat(only4, want4), arrive4, nil)
}

// A destination with a socket of its own is reached through that one, in its turn, and
// the others through the shared one.
func TestSendAllBesideSlowDestinations(t *testing.T) {
	p := pair(t, Options{})
	o := newFakeNetwork(t, p, BufferSize)
	o.makeSlow(p, 2000)
	shared := inode(t, uintptr(p.V4.conn.socket.fd))
	var sent []uint16
	used := map[uint16]uint64{}
	send, several := p.V4.conn.calls.sendmsg, p.V4.conn.calls.sendmmsg
	note := func(fd uintptr, h *unix.Msghdr) { sent, used[port(h)] = append(sent, port(h)), inode(t, fd) }
	for _, c := range []*calls{&p.V4.conn.calls, &p.V4.conn.slow.list[0].conn.calls} {
		c.sendmsg = func(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) { note(fd, h); return send(fd, h) }
		c.sendmmsg = func(fd uintptr, hs []mmsghdr) (int, syscall.Errno) {
			for i := range hs {
				note(fd, &hs[i].hdr)
			}
			return several(fd, hs)
		}
	}
	o.now += time.Second // its queue is empty
	order := []uint16{100, 101, 2000, 102, 103, 2000, 100, 2000}
	var trains []*batch.Batch
	for _, port := range order {
		trains = append(trains, numbered(1, 100, 100, endpoint("192.0.2.1", port, "", 0)))
	}
	wantErrors(t, sendAll(p, trains...), make([]error, len(order))...)
	if !slices.Equal(sent, order) {
		t.Errorf("sent to ports %d, want %d", sent, order)
	}
	for port, socket := range used {
		if (socket == shared) != (port != 2000) {
			t.Errorf("port %d used the wrong socket", port)
		}
	}
	// What the slow one cannot take is refused, and the others lose nothing.
	lost, together := 0, 0
	noted := p.V4.conn.calls.sendmmsg
	p.V4.conn.calls.sendmmsg = func(fd uintptr, hs []mmsghdr) (int, syscall.Errno) { together += len(hs); return noted(fd, hs) }
	for range 500 {
		o.now += 100 * time.Microsecond
		var trains []*batch.Batch
		for i := range 10 {
			for _, port := range []uint16{uint16(100 + i), uint16(200 + i), 2000} {
				trains = append(trains, numbered(1, 1400, 1400, endpoint("192.0.2.1", port, "", 0)))
			}
		}
		for i, err := range sendAll(p, trains...) {
			if err == ErrBacklog && i%3 == 2 {
				lost++
			} else if err != nil {
				t.Fatalf("train %d: %v", i, err)
			}
		}
	}
	if together < 9000 {
		t.Errorf("%d trains to the others were sent with the next one, want nearly all of 10,000", together)
	}
	if lost == 0 || o.slept != 0 {
		t.Errorf("%d trains to the slow destination were refused; waited %v", lost, o.slept)
	}
}

// SetMark applies to what SendAll sends afterwards (A53).
func TestSendAllMark(t *testing.T) {
	ownNetwork(t)
	ip(t, "rule add fwmark 7 prohibit")
	ip(t, "rule del pref 0")
	ip(t, "rule add pref 40000 lookup local") // after the mark
	a, b := pair(t, Options{}), pair(t, Options{})
	for _, mark := range []uint32{0, 7, 8, 0} {
		if err := a.SetMark(mark); err != nil {
			t.Fatal(err)
		}
		var want error
		if mark == 7 {
			want = unix.EACCES
		}
		trains := scattered(5, b.Port())
		wantErrors(t, sendAll(a, trains...), want, want, want, want, want)
		if mark != 7 {
			arrivals(t, b.V4, 5)
		}
	}
}

// Close ends SendAll: the trains that were not sent have os.ErrClosed, and none before
// them has (B55, B59).
func TestCloseWhileSendingAll(t *testing.T) {
	pair(t, Options{}).Close() // the runtime keeps the poller open
	before := descriptors(t)
	for range 300 {
		p, err := Listen(0, Options{})
		if err != nil {
			t.Fatal(err)
		}
		sending, done := make(chan struct{}), make(chan []error)
		go func() {
			s, trains := p.NewSender(), scattered(70, 9)
			for first := true; ; first = false {
				errs := sendAll(s, trains...)
				if first {
					close(sending)
				}
				if errs[len(errs)-1] != nil {
					done <- errs
					return
				}
			}
		}()
		<-sending
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		closed := false
		for i, err := range <-done {
			if closed = closed || err != nil; closed && err != os.ErrClosed {
				t.Fatalf("train %d: %v after os.ErrClosed", i, err)
			}
		}
	}
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors before, %d after", before, after)
	}
}
