package udp

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// faultyKernel replaces the system calls of a socket. It refuses what the test
// specifies, and counts and forwards the rest.
type faultyKernel struct {
	train  func(segments int, h *unix.Msghdr) syscall.Errno // for each train; nil: none
	single func(call int, hs []mmsghdr) (take int, errno syscall.Errno)

	trains, singles int // calls
}

func (d *faultyKernel) install(c testGroup) {
	k := c.conn
	k.calls.sendmsg = func(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
		d.trains++
		if d.train != nil {
			stride := stride(h)
			if errno := d.train((int(h.Iov.Len)+stride-1)/stride, h); errno != 0 {
				return -1, errno
			}
		}
		return sendmsg(fd, h)
	}
	k.calls.sendmmsg = func(fd uintptr, hs []mmsghdr) (int, syscall.Errno) {
		d.singles++
		if d.single != nil {
			take, errno := d.single(d.singles, hs)
			if errno != 0 {
				return -1, errno
			}
			hs = hs[:take]
		}
		return sendmmsg(fd, hs)
	}
}

// stride returns the UDP_SEGMENT of a message, which is its last control message, or, if
// there is none, the length of the message.
func stride(h *unix.Msghdr) int {
	oob := unsafeBytes(h.Control, int(h.Controllen))
	if len(oob) == 0 {
		return max(int(h.Iov.Len), 1)
	}
	at := len(oob) - 2
	return int(oob[at]) | int(oob[at+1])<<8
}

// port returns the destination port of a message.
func port(h *unix.Msghdr) uint16 {
	name := unsafeBytes(h.Name, int(h.Namelen))
	return uint16(name[2])<<8 | uint16(name[3])
}

// arrives sends the train and checks that all of it arrives at b in order.
func arrives(t *testing.T, a, b *testPair, train *batch.Batch, want error) {
	t.Helper()
	if err := a.Send(train); !errors.Is(err, want) {
		t.Fatalf("Send returned %v, want %v", err, want)
	}
	collect(t, b.V4, 8, train)
	if n, errno := pending(b.V4.conn); errno != unix.EAGAIN {
		t.Fatalf("more arrived than was sent: %d bytes, %v", n, errno)
	}
}

// pending peeks at the next datagram.
func pending(c *conn) (n int, errno syscall.Errno) {
	c.socket.control(func(fd int) {
		var err error
		n, _, err = unix.Recvfrom(fd, make([]byte, 1), unix.MSG_DONTWAIT|unix.MSG_PEEK)
		errno, _ = err.(syscall.Errno)
	})
	return n, errno
}

// B61: the device on the route to one endpoint has no checksum offload, or IPsec is in
// use. Trains are still sent to others, and to this endpoint again when routes change or
// after some trains.
func TestEIOEndsTrainsForTheEndpoint(t *testing.T) {
	a, b, other := pair(t, Options{}), pair(t, Options{}), pair(t, Options{})
	poor := b.Port()
	faulty := &faultyKernel{train: func(_ int, h *unix.Msghdr) syscall.Errno {
		if port(h) == poor {
			return unix.EIO
		}
		return 0
	}}
	faulty.install(a.V4)
	train := numbered(100, 1000, 3, endpoint("127.0.0.1", b.Port(), "", 0))
	tries := func(want int, what string) {
		t.Helper()
		if faulty.trains != want {
			t.Fatalf("%s: %d trains were tried, want %d", what, faulty.trains, want)
		}
	}
	arrives(t, a, b, train, nil)
	tries(1, "the first")
	arrives(t, a, b, train, nil)
	tries(1, "the second")
	arrives(t, a, other, numbered(100, 1000, 3, endpoint("127.0.0.1", other.Port(), "", 0)), nil)
	tries(1+2, "another endpoint")
	a.Forget()
	arrives(t, a, b, train, nil)
	tries(1+2+1, "after routes changed")
	for range retryAfter {
		a.V4.conn.tx.limits.segments(train.Remote.Remote, 3)
	}
	poor = 0
	arrives(t, a, b, train, nil)
	tries(1+2+1+2, "some time later")
}

// If no trains pass on the only route, and there are more peers than limits can hold,
// most trains are not tried. If they pass again, they are soon sent again.
func TestEIOForManyEndpoints(t *testing.T) { // B61
	l := newLimits()
	send := func(peer int, refuse bool) (tried bool) {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(peer >> 8), byte(peer)}), 1)
		if l.segments(to, 1000) == 1 {
			return false
		}
		if refuse {
			l.none(to)
		} else {
			l.passed()
		}
		return true
	}
	const peers, rounds = 3 * maxLimits, 20
	tried := 0
	for range rounds {
		for peer := range peers {
			if send(peer, true) {
				tried++
			}
		}
	}
	if want := maxRefusals + rounds*peers/retryAfter + 1; tried > want {
		t.Errorf("%d of %d trains were tried, want %d at most", tried, rounds*peers, want)
	}
	tried = 0
	for i := range 2 * retryAfter {
		if send(i%peers, false) {
			tried++
		}
	}
	if tried < retryAfter/2 {
		t.Errorf("only %d trains were tried after the route accepted them again", tried)
	}
}

func TestEIOInTheMiddleRepeatsNothing(t *testing.T) { // B61: once, in order
	a, b := pair(t, Options{}), pair(t, Options{})
	calls := 0
	faulty := &faultyKernel{train: func(int, *unix.Msghdr) syscall.Errno {
		if calls++; calls == 2 {
			return unix.EIO
		}
		return 0
	}}
	faulty.install(a.V4)
	arrives(t, a, b, numbered(150, 400, 3, endpoint("127.0.0.1", b.Port(), "", 0)), nil)
	if faulty.trains != 2 || faulty.singles != 2 {
		t.Fatalf("%+v", faulty)
	}
}

func TestEINVALLowersTheNumberForTheEndpoint(t *testing.T) { // B61
	a, b, other := pair(t, Options{}), pair(t, Options{}), pair(t, Options{})
	faulty := &faultyKernel{train: func(segments int, _ *unix.Msghdr) syscall.Errno {
		if segments > 10 {
			return unix.EINVAL
		}
		return 0
	}}
	faulty.install(a.V4)
	train := numbered(64, 100, 100, endpoint("127.0.0.1", b.Port(), "", 0))
	for i, want := range []int{1, 2, 3, 3 + 8, 3 + 8 + 8} { // 64, 32, 16 refused, then 8 by 8
		arrives(t, a, b, train, nil)
		if faulty.trains != want {
			t.Fatalf("send %d: %d attempts, want %d", i, faulty.trains, want)
		}
	}
	faulty.train = nil
	arrives(t, a, other, numbered(64, 100, 100, endpoint("127.0.0.1", other.Port(), "", 0)), nil)
	if faulty.trains != 3+8+8+1 {
		t.Fatal("another endpoint is affected")
	}
	a.Forget()
	arrives(t, a, b, train, nil)
	if faulty.trains != 3+8+8+2 || !a.V4.Caps().GSO {
		t.Fatal("Forget did not discard the limit")
	}
}

func TestEMSGSIZELowersTheLengthForTheEndpoint(t *testing.T) { // B61
	a, b := pair(t, Options{}), pair(t, Options{})
	faulty := &faultyKernel{train: func(_ int, h *unix.Msghdr) syscall.Errno {
		if stride(h) > 1000 {
			return unix.EMSGSIZE
		}
		return 0
	}}
	faulty.install(a.V4)
	to := endpoint("127.0.0.1", b.Port(), "", 0)
	long, short := numbered(20, 1400, 1400, to), numbered(20, 1000, 1000, to)
	arrives(t, a, b, long, nil)
	arrives(t, a, b, long, nil)
	if faulty.trains != 1 {
		t.Fatalf("%d attempts", faulty.trains)
	}
	arrives(t, a, b, short, nil)
	if faulty.trains != 2 || faulty.singles != 2 {
		t.Fatalf("shorter datagrams are affected: %+v", faulty)
	}
	for range retryAfter {
		a.V4.conn.tx.limits.segments(to.Remote, 1400)
	}
	arrives(t, a, b, long, nil)
	if faulty.trains != 3 {
		t.Fatal("longer trains were not tried again")
	}
}

func TestPartialSends(t *testing.T) { // B20
	a, b := pair(t, Options{NoGSO: true}), pair(t, Options{})
	interrupted := false
	faulty := &faultyKernel{single: func(call int, hs []mmsghdr) (int, syscall.Errno) {
		if interrupted = !interrupted; interrupted {
			return 0, unix.EINTR
		}
		return min(len(hs), 1+call%3), 0
	}}
	faulty.install(a.V4)
	arrives(t, a, b, numbered(150, 300, 3, endpoint("127.0.0.1", b.Port(), "", 0)), nil)
}

func TestErrorsOfASend(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.ENOBUFS, unix.EPERM, unix.ENETUNREACH, unix.EMSGSIZE, unix.EINVAL} {
		a, b := pair(t, Options{NoGSO: true}), pair(t, Options{})
		faulty := &faultyKernel{single: func(call int, hs []mmsghdr) (int, syscall.Errno) {
			if call == 2 {
				return 0, errno
			}
			return 2, 0
		}}
		faulty.install(a.V4)
		train := numbered(5, 10, 10, endpoint("127.0.0.1", b.Port(), "", 0))
		if err := a.Send(train); err != errno {
			t.Errorf("%v, want %v", err, errno)
		}
		train.Data = train.Data[:20]
		collect(t, b.V4, 8, train)
	}
}

func TestSourceGoneInTheMiddle(t *testing.T) { // A52: the rest once, without the source
	for _, errno := range []syscall.Errno{unix.ENETUNREACH, unix.EADDRNOTAVAIL, unix.EINVAL, unix.ENODEV} {
		a, b := pair(t, Options{}), pair(t, Options{})
		calls := 0
		faulty := &faultyKernel{}
		faulty.train = func(_ int, h *unix.Msghdr) syscall.Errno {
			calls++
			if calls > 1 && parseControl(unsafeBytes(h.Control, int(h.Controllen))).source.IsValid() {
				return errno
			}
			return 0
		}
		faulty.single = func(_ int, hs []mmsghdr) (int, syscall.Errno) {
			if h := &hs[0].hdr; h.Controllen > 0 {
				return 0, errno
			}
			return len(hs), 0
		}
		faulty.install(a.V4)
		train := numbered(150, 400, 3, endpoint("127.0.0.1", b.Port(), "127.0.0.1", 1))
		arrives(t, a, b, train, ErrSourceGone)
		if len(a.V4.conn.tx.limits.known) != 0 {
			t.Error(errno, "was attributed to the length of the train")
		}
		train.Remote = train.Remote.Sourceless()
		arrives(t, a, b, train, nil)
	}
}

func TestSourceGoneAndStillNoRoute(t *testing.T) {
	a := pair(t, Options{})
	faulty := &faultyKernel{
		train:  func(int, *unix.Msghdr) syscall.Errno { return unix.ENETUNREACH },
		single: func(int, []mmsghdr) (int, syscall.Errno) { return 0, unix.ENETUNREACH },
	}
	faulty.install(a.V4)
	err := a.Send(numbered(3, 10, 10, endpoint("127.0.0.1", 9, "127.0.0.1", 1)))
	if !errors.Is(err, ErrSourceGone) || !errors.Is(err, unix.ENETUNREACH) || faulty.trains != 2 {
		t.Fatal(err, faulty.trains)
	}
}

func TestTemporaryReceiveErrors(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	k := b.V4.conn
	bad := []syscall.Errno{unix.ECONNREFUSED, unix.EINTR, unix.ENOMEM, unix.EHOSTUNREACH}
	k.calls.recvmsg = func(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
		if len(bad) > 0 {
			errno := bad[0]
			bad = bad[1:]
			return -1, errno
		}
		return recvmsg(fd, h)
	}
	train := numbered(1, 10, 10, endpoint("127.0.0.1", b.Port(), "", 0))
	a.Send(train)
	collect(t, b.V4, 1, train)

	tries := 0
	k.calls.recvmsg = func(uintptr, *unix.Msghdr) (int, syscall.Errno) { tries++; return -1, unix.ENOMEM }
	if _, err := b.V4.Recv(make([]batch.Batch, 1)); err != unix.ENOMEM || tries > 2*maxSoft {
		t.Fatal("after endless temporary errors:", err, tries)
	}
	k.calls.recvmsg = func(uintptr, *unix.Msghdr) (int, syscall.Errno) { return -1, unix.ENOTSOCK }
	if _, err := b.V4.Recv(make([]batch.Batch, 1)); err != unix.ENOTSOCK {
		t.Fatal(err)
	}
	if _, err := b.V4.Recv(nil); err == nil {
		t.Fatal("Recv without room returned no error")
	}
}

func TestTruncatedDatagramsAreSkipped(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	k := b.V4.conn
	first := true
	k.calls.recvmsg = func(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
		n, errno := recvmsg(fd, h)
		if errno == 0 && first {
			first, h.Flags = false, unix.MSG_TRUNC
		}
		return n, errno
	}
	train := numbered(1, 10, 10, endpoint("127.0.0.1", b.Port(), "", 0))
	a.Send(train)
	second := numbered(1, 11, 11, train.Remote)
	a.Send(second)
	if got := collect(t, b.V4, 1, second); !bytes.Equal(got.datagrams[0], second.Data) {
		t.Fatal(got)
	}
}

// TestRefusedPortsWakeNoReader: ICMP errors about sent datagrams do not wake the
// reader, and none is queued that would wake it repeatedly.
func TestRefusedPortsWakeNoReader(t *testing.T) {
	a := pair(t, Options{})
	for _, test := range []struct {
		to   string
		conn testGroup
	}{{"127.0.0.1", a.V4}, {"::1", a.V6}} {
		var calls atomic.Int64
		test.conn.calls.recvmsg = func(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
			calls.Add(1)
			return recvmsg(fd, h)
		}
		done := make(chan error, 1)
		go func() { _, err := test.conn.Recv(make([]batch.Batch, 1)); done <- err }()
		for range 100 {
			if err := a.Send(numbered(1, 10, 10, endpoint(test.to, 9, "", 0))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(50 * time.Millisecond)
		test.conn.Close()
		if err := <-done; err != os.ErrClosed || calls.Load() > 102 {
			t.Fatalf("%s: %v after %d calls", test.to, err, calls.Load())
		}
	}
}
