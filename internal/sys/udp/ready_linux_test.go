package udp

import (
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A datagram that leaves makes the socket writable again. That must not wake a reader.
func TestSendingWakesNoReader(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	c := a.V4.conn
	for range 20 {
		train := numbered(5, 1000, 1000, endpoint("127.0.0.1", b.Port(), "", 0))
		if err := a.Send(train); err != nil {
			t.Fatal(err)
		}
		collect(t, b.V4, 8, train)
		if ready(t, c.socket.epoll) {
			t.Fatal("the poller reports a send")
		}
	}
	if err := b.Send(numbered(1, 100, 100, endpoint("127.0.0.1", a.Port(), "", 0))); err != nil {
		t.Fatal(err)
	}
	if !ready(t, c.socket.epoll) {
		t.Fatal("the poller does not report a datagram, so this test proves nothing")
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

// A send that finds no room is retried as soon as there may be some, and nothing is
// sent twice (B20).
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
			t.Errorf("%s: refused only %d times", name, full.Load())
		}
	}
}
