//go:build unix

package readable

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Waiter returns a function that waits until a read from conn would not block,
// and then returns nil: there is data, the stream has ended, or reading returns
// an error. It returns an error if the read deadline of conn passes or conn is
// closed. Only one goroutine at a time may call it. Waiter returns nil if conn
// is not a socket of the kernel.
func Waiter(conn any) func() error {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	poll := []unix.PollFd{{Events: unix.POLLIN}}
	ready := func(fd uintptr) bool {
		poll[0].Fd, poll[0].Revents = int32(fd), 0
		n, err := unix.Poll(poll, 0)
		// After any error except an interruption, the read shows what is wrong.
		return n > 0 || err != nil && err != unix.EINTR
	}
	return func() error { return raw.Read(ready) }
}
