package udp

import (
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What leaves makes the socket writable again, and must wake nobody.
func TestSendingWakesNobody(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	c := a.V4.conn
	for range 20 {
		train := numbered(5, 1000, 1000, endpoint("127.0.0.1", b.Port(), "", 0))
		if err := a.Send(train); err != nil {
			t.Fatal(err)
		}
		collect(t, b.V4, 8, train)
		if ready(t, c.socket.epoll) {
			t.Fatal("the poller hears of a send")
		}
	}
	if err := b.Send(numbered(1, 100, 100, endpoint("127.0.0.1", a.Port(), "", 0))); err != nil {
		t.Fatal(err)
	}
	if !ready(t, c.socket.epoll) {
		t.Fatal("the poller does not hear of a datagram: this test sees nothing")
	}
}

func ready(t *testing.T, fd int) bool {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

// A socket without room is tried again as soon as it may have some, and what was
// sent is not sent again (B20).
func TestSendWaitsForRoom(t *testing.T) {
	for name, o := range map[string]Options{"trains": {}, "single": {NoGSO: true}} {
		a, b := pair(t, o), pair(t, o)
		c := a.V4.conn
		var full atomic.Int32
		refuse := func() bool { return full.Add(1)%3 != 0 }
		c.calls.sendmsg = func(fd uintptr, h *unix.Msghdr) (int, syscall.Errno) {
			if refuse() {
				return 0, unix.EAGAIN
			}
			return sendmsg(fd, h)
		}
		c.calls.sendmmsg = func(fd uintptr, hs []mmsghdr) (int, syscall.Errno) {
			if refuse() {
				return 0, unix.EAGAIN
			}
			return sendmmsg(fd, hs)
		}
		for range 50 {
			train := numbered(3, 500, 500, endpoint("127.0.0.1", b.Port(), "", 0))
			if err := a.Send(train); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			collect(t, b.V4, 8, train)
		}
		if full.Load() < 100 {
			t.Errorf("%s: refused %d times only", name, full.Load())
		}
	}
}
