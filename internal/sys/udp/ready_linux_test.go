package udp

import (
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// What leaves makes the socket writable again, and must wake nobody.
func TestSendingWakesNobody(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	c := a.V4.(*conn)
	for range 20 {
		train := numbered(5, 1000, 1000, endpoint("127.0.0.1", b.Port(), "", 0))
		if err := a.Send(train); err != nil {
			t.Fatal(err)
		}
		collect(t, b.V4, 8, train)
		for name, w := range map[string]watch{"reading": c.socket.in, "writing": c.socket.out} {
			if ready(t, w.epoll) {
				t.Fatalf("after a send, the poller hears of %s", name)
			}
		}
	}
	if err := b.Send(numbered(1, 100, 100, endpoint("127.0.0.1", a.Port(), "", 0))); err != nil {
		t.Fatal(err)
	}
	if !ready(t, c.socket.in.epoll) {
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

// A socket without room is tried again as soon as it has some, be it before
// anybody watches.
func TestSendWaitsForRoom(t *testing.T) {
	for name, o := range map[string]Options{"trains": {}, "single": {NoGSO: true}} {
		a, b := pair(t, o), pair(t, o)
		c := a.V4.(*conn)
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

// Close ends a send that waits for room.
func TestCloseEndsWaitingForRoom(t *testing.T) {
	a := pair(t, Options{})
	c := a.V4.(*conn)
	// Really full: nothing is writable for as long as it stays so.
	if err := unix.EpollCtl(c.socket.out.epoll, unix.EPOLL_CTL_DEL, c.socket.fd, nil); err != nil {
		t.Fatal(err)
	}
	c.calls.sendmsg = func(uintptr, *unix.Msghdr) (int, syscall.Errno) { return 0, unix.EAGAIN }
	done := make(chan error)
	go func() {
		done <- a.Send(&batch.Batch{Data: make([]byte, 9), Stride: 9, Remote: endpoint("127.0.0.1", 9, "", 0)})
	}()
	select {
	case err := <-done:
		t.Fatal("a full socket has sent: ", err)
	case <-time.After(50 * time.Millisecond):
	}
	a.Close()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Close leaves a send waiting")
	}
}
