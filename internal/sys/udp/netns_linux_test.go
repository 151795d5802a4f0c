package udp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"wgd/internal/sys/netns/netnstest"

	"golang.org/x/sys/unix"
)

func unsafeBytes(p *byte, n int) []byte { return unsafe.Slice(p, n) }

// ownNetwork moves the test into a new network namespace whose loopback interface is
// up.
func ownNetwork(t testing.TB) *os.File {
	t.Helper()
	netnstest.Isolate(t)
	ip(t, "link set lo up")
	return netnstest.Here(t)
}

// ip runs ip(8) in the namespace of the test's thread.
func ip(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", line, err, out)
	}
}

// tc runs tc(8) in the namespace of the test's thread.
func tc(t testing.TB, format string, args ...any) {
	t.Helper()
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("tc", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("tc %s: %v: %s", line, err, out)
	}
}

// raise adds addresses to an interface, brings it up, and returns its index.
func raise(t testing.TB, name string, addrs ...string) uint32 {
	t.Helper()
	for _, a := range addrs {
		ip(t, "address add %s dev %s nodad", a, name)
	}
	ip(t, "link set %s up", name)
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(i.Index)
}

// twoHosts returns the sockets of two hosts that are connected by a veth pair. wa, in
// the namespace where the thread stays, has the addresses 10.7.0.1, fd07::1 and fe80::1;
// wb has the same ending in 2.
func twoHosts(t testing.TB, mtu int) (a, b *testPair, wa, wb uint32) {
	t.Helper()
	far := ownNetwork(t)
	near := ownNetwork(t)
	ip(t, "link add wa mtu %d type veth peer name wb mtu %d netns /proc/%d/fd/%d", mtu, mtu, os.Getpid(), far.Fd())
	netnstest.Enter(t, far)
	wb = raise(t, "wb", "10.7.0.2/24", "fd07::2/64", "fe80::2/64")
	b = pair(t, Options{})
	netnstest.Enter(t, near)
	wa = raise(t, "wa", "10.7.0.1/24", "10.7.0.11/24", "fd07::1/64", "fd07::11/64", "fe80::1/64")
	return pair(t, Options{}), b, wa, wb
}

// TestSegmentOverTheMTU makes the kernel return EMSGSIZE, in both families.
func TestSegmentOverTheMTU(t *testing.T) { // B61
	a, b, _, _ := twoHosts(t, 1300)
	for _, to := range []string{"10.7.0.2", "fd07::2"} {
		from, conn := a.V6, b.V6
		if to == "10.7.0.2" {
			from, conn = a.V4, b.V4
		}
		faulty := &faultyKernel{}
		faulty.install(from)
		train := numbered(40, 1400, 100, endpoint(to, b.Port(), "", 0))
		for range 2 {
			if err := a.Send(train); err != nil {
				t.Fatal(err)
			}
			collect(t, conn, 8, train) // complete: the outer packets were fragmented (A46)
		}
		if faulty.trains != 1 {
			t.Errorf("%s: %d attempts as a train", to, faulty.trains)
		}
		short := numbered(40, 1200, 100, train.Remote)
		if err := a.Send(short); err != nil {
			t.Fatal(err)
		}
		collect(t, conn, 8, short)
		if faulty.trains != 2 {
			t.Errorf("%s: %d attempts with shorter ones", to, faulty.trains)
		}
	}
}

func TestReplyFromTheAddressThatReceived(t *testing.T) { // A52
	a, b, wa, wb := twoHosts(t, 1500)
	for _, addr := range []string{"10.7.0.%d", "fd07::%d"} {
		conns := []testGroup{a.V6, b.V6}
		if strings.HasPrefix(addr, "10") {
			conns = []testGroup{a.V4, b.V4}
		}
		first, second, remote := fmt.Sprintf(addr, 1), fmt.Sprintf(addr, 11), fmt.Sprintf(addr, 2)
		for _, source := range []string{first, second} {
			train := numbered(10, 1200, 5, endpoint(remote, b.Port(), source, wa))
			train.ECN = 2
			if err := a.Send(train); err != nil {
				t.Fatal(err)
			}
			got := collect(t, conns[1], 8, train).trains[0]
			if want := endpoint(source, a.Port(), remote, wb); got.Remote != want || got.ECN != 2 {
				t.Fatalf("%+v, want %v", got, want)
			}
			back := numbered(10, 1200, 5, got.Remote)
			if err := b.Send(back); err != nil {
				t.Fatal(err)
			}
			got = collect(t, conns[0], 8, back).trains[0]
			if want := endpoint(remote, b.Port(), source, wa); got.Remote != want {
				t.Fatalf("%v, want %v", got.Remote, want)
			}
		}
	}
}

func TestSourceAddressRemoved(t *testing.T) { // A52
	a, b, wa, _ := twoHosts(t, 1500)
	for _, test := range []struct {
		source, remote, prefix string
		conn                   testGroup
	}{{"10.7.0.11", "10.7.0.2", "/24", b.V4}, {"fd07::11", "fd07::2", "/64", b.V6}} {
		for _, train := range []int{1, 10} {
			sent := numbered(train, 1000, 5, endpoint(test.remote, b.Port(), test.source, wa))
			if err := a.Send(sent); err != nil {
				t.Fatal(err)
			}
			if got := collect(t, test.conn, 8, sent).trains[0]; got.Remote.Remote.Addr().String() != test.source {
				t.Fatal(got.Remote)
			}
			ip(t, "address del %s%s dev wa", test.source, test.prefix)
			if err := a.Send(sent); !errors.Is(err, ErrSourceGone) {
				t.Fatalf("%s, %d datagrams: %v", test.source, train, err)
			}
			if got := collect(t, test.conn, 8, sent).trains[0]; got.Remote.Remote.Addr().String() == test.source {
				t.Fatal(got.Remote)
			}
			ip(t, "address add %s%s dev wa nodad", test.source, test.prefix)
		}
		sent := numbered(1, 10, 10, endpoint(test.remote, b.Port(), test.source, wa+1000)) // the interface is gone
		if err := a.Send(sent); !errors.Is(err, ErrSourceGone) {
			t.Fatalf("%s: %v", test.source, err)
		}
		collect(t, test.conn, 8, sent)
	}
}

func TestLinkLocalScope(t *testing.T) { // A54
	a, b, wa, wb := twoHosts(t, 1500)
	for _, zone := range []string{"wa", fmt.Sprint(wa)} {
		for range 2 { // the second time, the index is cached
			train := numbered(10, 1000, 5, endpoint("fe80::2%"+zone, b.Port(), "", 0))
			if err := a.Send(train); err != nil {
				t.Fatal(err)
			}
			got := collect(t, b.V6, 8, train).trains[0]
			want := endpoint(fmt.Sprintf("fe80::1%%%d", wb), a.Port(), "fe80::2", wb)
			if got.Remote != want {
				t.Fatalf("%v, want %v", got.Remote, want)
			}
			back := numbered(10, 1000, 5, got.Remote)
			if err := b.Send(back); err != nil {
				t.Fatal(err)
			}
			collect(t, a.V6, 1, back)
		}
	}
}

func TestMark(t *testing.T) { // A53
	ownNetwork(t)
	p := pair(t, Options{Mark: 77})
	check := func(want uint32) {
		t.Helper()
		for _, c := range p.Groups() {
			c.(*conn).socket.control(func(fd int) {
				if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK); uint32(n) != want || err != nil {
					t.Fatal(n, err)
				}
			})
		}
	}
	check(77)
	for _, mark := range []uint32{78, 1 << 31, 0} {
		if err := p.SetMark(mark); err != nil {
			t.Fatal(err)
		}
		check(mark)
	}
	p.Close()
	if err := p.SetMark(5); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}

func TestPorts(t *testing.T) { // A53
	ownNetwork(t)
	p := pair(t, Options{})
	if p.Port() == 0 || p.Pair.V4 == nil || p.Pair.V6 == nil {
		t.Fatalf("%+v", p)
	}
	for _, c := range p.Groups() {
		if port, err := c.(*conn).port(); port != p.Port() || err != nil {
			t.Fatal(port, err)
		}
	}
	var taken *PortTaken
	_, err := Listen(p.Port(), Options{})
	if !errors.As(err, &taken) || taken.Port != p.Port() || !errors.Is(err, unix.EADDRINUSE) || !strings.Contains(err.Error(), "ss -lunp") {
		t.Fatal(err)
	}
	six, err := net.ListenPacket("udp6", "[::]:5555") // in use in one family only
	if err != nil {
		t.Fatal(err)
	}
	defer six.Close()
	before := descriptors(t)
	if _, err := Listen(5555, Options{}); !errors.As(err, &taken) {
		t.Fatal(err)
	}
	if after := descriptors(t); after != before {
		t.Fatal("the IPv4 socket was left open") // B59
	}
	p.Close()
	again, err := Listen(p.Port(), Options{})
	if err != nil {
		t.Fatal("the port is still in use:", err)
	}
	again.Close()
}

func TestPortZeroSkipsHalfTaken(t *testing.T) { // A53: free in both
	refused := 0
	p, err := listen(0, Options{}, func(domain int) (int, error) {
		if domain == unix.AF_INET6 && refused < 5 {
			refused++
			return -1, &PortTaken{}
		}
		return socket(domain)
	})
	if err != nil || p.V6 == nil || refused != 5 {
		t.Fatal(err)
	}
	p.Close()
	if _, err := listen(0, Options{}, func(int) (int, error) { return -1, &PortTaken{} }); err == nil {
		t.Fatal("Listen succeeded though no port is free")
	}
}

func TestPortForbidden(t *testing.T) {
	err := explainBind(80, unix.EACCES)
	const want = "no permission for UDP port 80: choose a listen port of 1024 or more, or run as root or with CAP_NET_BIND_SERVICE"
	if !errors.Is(err, unix.EACCES) || err.Error() != want {
		t.Error(err)
	}
}

func TestHostWithoutAFamily(t *testing.T) { // B21, A53
	without := func(lacking ...int) (*Pair, error) {
		return listen(0, Options{}, func(domain int) (int, error) {
			for _, l := range lacking {
				if l == domain {
					return -1, unix.EAFNOSUPPORT
				}
			}
			return socket(domain)
		})
	}
	p, err := without(unix.AF_INET6)
	if err != nil || p.V4 == nil || p.V6 != nil || len(p.Groups()) != 1 {
		t.Fatal(p, err)
	}
	q, err := without(unix.AF_INET)
	if err != nil || q.V4 != nil || q.V6 == nil || q.Port() == 0 {
		t.Fatal(q, err)
	}
	if err := errors.Join(p.SetMark(0), q.SetMark(0), p.Close(), q.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := without(unix.AF_INET, unix.AF_INET6); !errors.Is(err, ErrNoFamily) {
		t.Fatal(err)
	}
}

func TestIPv6SwitchedOff(t *testing.T) { // B21: a namespace without IPv6
	ownNetwork(t)
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, Options{}), pair(t, Options{})
	train := numbered(3, 100, 100, endpoint("127.0.0.1", b.Port(), "", 0))
	if err := a.Send(train); err != nil {
		t.Fatal(err)
	}
	collect(t, b.V4, 1, train)
	if err := a.Send(numbered(3, 100, 100, endpoint("::1", b.Port(), "", 0))); err == nil {
		t.Fatal("Send to an IPv6 address succeeded")
	}
}

// unprivileged drops all capabilities of the test's thread, which ends with the test.
func unprivileged(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutPrivileges(t *testing.T) { // A53; SO_RCVBUFFORCE fails, SO_RCVBUF is used
	ownNetwork(t)
	unprivileged(t)
	p := pair(t, Options{})
	if caps := p.V4.Caps(); caps.RecvBuffer <= 0 || caps.RecvBuffer >= BufferSize {
		t.Errorf("%+v", caps)
	}
	if err := p.SetMark(0); err != nil {
		t.Error("without a mark, Listen must need no privilege:", err)
	}
	var refused *MarkRefused
	if err := p.SetMark(7); !errors.As(err, &refused) || !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
	before := descriptors(t)
	if _, err := Listen(0, Options{Mark: 7}); !errors.As(err, &refused) || refused.Mark != 7 {
		t.Error(err)
	}
	if _, err := Listen(53, Options{}); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "53") {
		t.Error(err)
	}
	if after := descriptors(t); after != before {
		t.Error("a socket was left open") // B59
	}
}
