package udp

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// openSendSocket opens a sendSocket of the endpoint's family.
func openSendSocket(t testing.TB, p *testPair, to string, o sendOptions) *sendSocket {
	t.Helper()
	c := p.V6
	if is4(netip.MustParseAddr(to)) {
		c = p.V4
	}
	s, err := c.openSendSocket(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// waiting returns how many bytes are queued in a socket, as the kernel counts them.
func (s *sendSocket) waiting(t testing.TB) (n int) {
	t.Helper()
	if err := s.conn.control(func(fd int) error { n = queued(uintptr(fd)); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// Datagrams from a sendSocket look as if the Group had sent them: port, address, DSCP,
// ECN, trains. It uses the source in the endpoint, and handles one that is gone (A52,
// A53, A56).
func TestSendSocketSendsLikeTheGroup(t *testing.T) {
	for _, family := range []struct{ local, remote string }{{"127.0.0.3", "127.0.0.2"}, {"::1", "::1"}} {
		a, b := pair(t, Options{}), pair(t, Options{})
		to := b.V4
		if family.remote == "::1" {
			to = b.V6
		}
		for range 3 { // several at the same time
			s := openSendSocket(t, a, family.remote, sendOptions{buffer: 1 << 20})
			for _, source := range []string{family.local, ""} {
				train := numbered(45, 1452, 700, endpoint(family.remote, b.Port(), source, 0))
				train.ECN, train.TOS = 1, 0x88
				if err := s.Send(train); err != nil {
					t.Fatal(err)
				}
				got := collect(t, to, 8, train).trains
				from := got[0].Remote.Remote
				if from.Port() != a.Port() || source != "" && from.Addr().String() != source || got[0].ECN != 1 || got[0].TOS != 0x88 {
					t.Errorf("source %q: %+v", source, got[0])
				}
				if len(got) != 1 {
					t.Errorf("%d trains", len(got))
				}
			}
			gone := numbered(1, 10, 10, endpoint(family.remote, b.Port(), map[bool]string{true: "fd99::9", false: "10.99.9.9"}[family.remote == "::1"], 0))
			if err := s.Send(gone); !errors.Is(err, ErrSourceGone) {
				t.Errorf("a source that is gone: %v", err)
			}
			collect(t, to, 8, gone)
		}
	}
}

// sendSockets do not affect at which socket a datagram arrives, however many there are
// of both.
func TestSendSocketReceivesNothing(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		p := pair(t, Options{})
		m, loopback := p.V6, "::1"
		if v4 {
			m, loopback = p.V4, "127.0.0.1"
		}
		list := senders(t, 60, p, v4)
		var open []*sendSocket
		for _, n := range []int{1, 3, 2, 1} {
			if err := m.SetSockets(n); err != nil {
				t.Fatal(n, err)
			}
			before, _ := all(t, m, n, list)
			for range 3 {
				open = append(open, openSendSocket(t, p, loopback, sendOptions{}))
				after, used := all(t, m, n, list)
				if used != n {
					t.Errorf("%d sockets of %d receive", used, n)
				}
				for i := range before {
					if before[i] != after[i] {
						t.Fatalf("%d sockets: sender %d moved from socket %d to %d", n, i, before[i], after[i])
					}
				}
			}
			if !m.SteerToFirst() {
				t.Fatal("datagrams cannot be steered to the first socket")
			}
			if where, used := all(t, m, n, list); used != 1 || where[0] != 0 {
				t.Errorf("%d sockets receive after SteerToFirst, want 1", used)
			}
			open[0].Close()
			open = open[1:]
		}
		for _, s := range open {
			if n, errno := pending(s.conn); errno != unix.EAGAIN {
				t.Errorf("%d bytes, %v", n, errno)
			}
		}
	}
}

// Datagrams from this host to the multicast group of a sendSocket do not fill its
// buffer.
func TestSendSocketTakesNoMulticast(t *testing.T) {
	ownNetwork(t)
	ip(t, "route add 233.252.0.0/24 dev lo")
	p := pair(t, Options{})
	s := openSendSocket(t, p, "127.0.0.1", sendOptions{})
	fd, err := socket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptIPMreq(fd, unix.SOL_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreq{Multiaddr: s.address(true).As4(), Interface: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 9}); err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{9, int(p.Port())} {
		if err := unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Port: port, Addr: s.address(true).As4()}); err != nil {
			t.Fatal(err)
		}
	}
	if n, _, err := unix.Recvfrom(fd, make([]byte, 9), unix.MSG_DONTWAIT); n != 1 {
		t.Fatalf("a member of the group receives nothing (%v), so this test proves nothing", err)
	}
	if n, errno := pending(s.conn); errno != unix.EAGAIN {
		t.Errorf("%d bytes, %v", n, errno)
	}
}

// sendSockets do not let other programs bind the port (A53).
func TestPortStaysTakenWithSendSockets(t *testing.T) {
	for _, v4 := range []bool{true, false} {
		p := pair(t, Options{})
		for range 3 {
			openSendSocket(t, p, map[bool]string{true: "127.0.0.1", false: "::1"}[v4], sendOptions{})
			for _, reuse := range []bool{false, true} {
				if err := bindTo(v4, p.Port(), reuse); err != unix.EADDRINUSE {
					t.Errorf("another program, SO_REUSEPORT %t: %v", reuse, err)
				}
			}
		}
	}
}

// SetMark (A53), Forget (B61) and Close of the Group apply to its sendSockets, which
// leave no descriptor open (B59).
func TestSendSocketFollowsTheGroup(t *testing.T) {
	before := descriptors(t)
	for _, to := range []string{"127.0.0.1", "::1"} {
		p := pair(t, Options{})
		c := p.V6.conn
		if to == "127.0.0.1" {
			c = p.V4.conn
		}
		s, other := openSendSocket(t, p, to, sendOptions{buffer: 100_000}), openSendSocket(t, p, to, sendOptions{})
		if os.Geteuid() == 0 {
			p.SetMark(7)
			later := openSendSocket(t, p, to, sendOptions{})
			for _, s := range []*sendSocket{s, other, later} {
				if got := value(t, s.conn, [2]int{unix.SOL_SOCKET, unix.SO_MARK}); got != 7 {
					t.Errorf("the mark is %d", got)
				}
			}
		}
		if s.Caps().SendBuffer != 100_000 || other.Caps().SendBuffer != c.caps.SendBuffer {
			t.Errorf("send buffers of %d and %d", s.Caps().SendBuffer, other.Caps().SendBuffer)
		}
		s.tx.limits.tooLong(netip.MustParseAddrPort("192.0.2.1:1"), 100)
		p.Forget()
		if s.tx.forget(); len(s.tx.limits.known) != 0 {
			t.Error("Forget of the Group did not reach the sendSocket")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		p.Close()
		train := numbered(1, 10, 10, endpoint(to, 9, "", 0))
		for _, s := range []*sendSocket{s, other} {
			if err := s.Send(train); !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		}
		if _, err := c.openSendSocket(sendOptions{}); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	if n := descriptors(t); n > before {
		t.Errorf("%d descriptors before, %d after", before, n)
	}
}

// There can be as many sendSockets as addresses. Closing one makes room for another.
func TestSendSocketsEnd(t *testing.T) {
	p := pair(t, Options{})
	var list []*sendSocket
	for range maxSendSockets {
		list = append(list, openSendSocket(t, p, "127.0.0.1", sendOptions{}))
	}
	if _, err := p.V4.openSendSocket(sendOptions{}); err == nil {
		t.Error("there are more sendSockets than addresses")
	}
	list[100].Close()
	if s := openSendSocket(t, p, "127.0.0.1", sendOptions{}); s.number != list[100].number {
		t.Error("the new socket does not have the free address")
	}
}

func TestSendSocketOfOtherNamespace(t *testing.T) { // A55
	ownNetwork(t)
	p := pair(t, Options{})
	ownNetwork(t)
	if _, err := p.V4.openSendSocket(sendOptions{}); !errors.Is(err, errOtherNamespace) {
		t.Error(err)
	}
	if len(p.V4.conn.group.sendSockets) != 0 || value(t, p.V4.conn, [2]int{unix.SOL_SOCKET, unix.SO_REUSEPORT}) != 0 {
		t.Error("the failed attempt left a socket or an option")
	}
}

// With dontFragment nothing is fragmented, whether it is a train or not (A46, B61).
// Without it everything passes, as through the Group.
func TestDontFragment(t *testing.T) {
	a, b, _, _ := twoHosts(t, 1300)
	for _, to := range []string{"10.7.0.2", "fd07::2"} {
		receiver := b.V6
		if strings.HasPrefix(to, "10") {
			receiver = b.V4
		}
		end := endpoint(to, b.Port(), "", 0)
		s, plain := openSendSocket(t, a, to, sendOptions{dontFragment: true}), openSendSocket(t, a, to, sendOptions{})
		for _, long := range []*batch.Batch{numbered(1, 1400, 1400, end), numbered(40, 1400, 100, end)} {
			if err := s.Send(long); !errors.Is(err, unix.EMSGSIZE) {
				t.Errorf("%s: %d datagrams of 1,400 bytes through a link of 1,300: %v", to, long.Count(), err)
			}
			if n, errno := pending(receiver.conn); errno != unix.EAGAIN {
				t.Errorf("%s: %d bytes arrived, %v", to, n, errno)
			}
			if err := plain.Send(long); err != nil {
				t.Fatal(err)
			}
			collect(t, receiver, 8, long)
		}
		short := numbered(40, 1200, 100, end)
		if err := s.Send(short); err != nil {
			t.Fatal(err)
		}
		collect(t, receiver, 8, short)
	}
}

// A batch with DontFragment is not fragmented, whichever Sender sends it, and other
// batches are. (A46)
func TestDontFragmentOneBatch(t *testing.T) {
	a, b, _, _ := twoHosts(t, 1300)
	for _, to := range []string{"10.7.0.2", "fd07::2"} {
		from, receiver := a.V6.conn, b.V6
		if strings.HasPrefix(to, "10") {
			from, receiver = a.V4.conn, b.V4
		}
		end := endpoint(to, b.Port(), "", 0)
		for _, by := range []Sender{a, from.NewSender()} {
			for _, class := range []batch.Class{batch.Data, batch.Control} {
				for range 2 {
					long, short := numbered(40, 1400, 100, end), numbered(40, 1200, 100, end)
					long.Class, short.Class = class, class
					long.DontFragment, short.DontFragment = true, true
					if err := by.Send(long); !errors.Is(err, unix.EMSGSIZE) {
						t.Errorf("%s: %v", to, err)
					}
					if err := by.Send(short); err != nil {
						t.Fatal(err)
					}
					collect(t, receiver, 8, short)
					long.DontFragment = false
					if err := by.Send(long); err != nil {
						t.Fatal(err)
					}
					collect(t, receiver, 8, long)
				}
			}
		}
		if n := len(from.group.sendSockets); n != 1 {
			t.Errorf("%s: %d sockets were opened", to, n)
		}
		// While no such socket can be opened, the batch is sent without DF.
		from.noFragment.Swap(nil).Close()
		from.retry.Store(int64(from.calls.now() + time.Hour))
		long := numbered(1, 1400, 1400, end)
		long.DontFragment = true
		if err := a.Send(long); err != nil {
			t.Fatal(err)
		}
		collect(t, receiver, 8, long)
		from.retry.Store(0)
		if err := a.Send(long); !errors.Is(err, unix.EMSGSIZE) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

// A socket whose queue is full does not delay another one on the port, and reports how
// much is queued.
func TestSendSocketHasItsOwnBuffer(t *testing.T) {
	a, b, _, _ := twoHosts(t, 1500)
	ip(t, "link add slow type veth peer name far")
	raise(t, "slow", "10.6.0.1/24")
	ip(t, "link set far up")
	tc(t, "qdisc add dev slow root tbf rate 8kbit burst 1600 limit 100000000")
	ip(t, "neigh add 10.6.0.2 lladdr 02:00:00:00:00:01 dev slow")
	s, other := openSendSocket(t, a, "10.6.0.2", sendOptions{buffer: 64 << 10}), openSendSocket(t, a, "10.6.0.2", sendOptions{})
	full := numbered(40, 1400, 1400, endpoint("10.6.0.2", 9, "", 0))
	for i := 0; ; i++ {
		if err := s.Send(full); err == ErrBacklog {
			break
		} else if err != nil || i == 1000 {
			t.Fatalf("after %d trains of 56,000 bytes: %v", i, err)
		}
	}
	if n := s.waiting(t); n == 0 {
		t.Errorf("%d bytes are queued in the socket that has sent", n)
	}
	if n := other.waiting(t); n != 0 {
		t.Errorf("%d bytes are queued in the socket that has not sent", n)
	}
	train := numbered(40, 1400, 100, endpoint("10.7.0.2", b.Port(), "", 0))
	for _, by := range []Sender{a, other.tx} {
		if err := by.Send(train); err != nil {
			t.Fatal(err)
		}
		collect(t, b.V4, 8, train)
	}
}
