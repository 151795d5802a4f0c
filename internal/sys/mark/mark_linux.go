package mark

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Control returns what a net.Dialer calls as its Control: it gives the socket a
// mark before it connects, so that rules for the mark choose its route (A53). It
// returns nil for mark 0.
func Control(mark uint32) func(network, address string, conn syscall.RawConn) error {
	if mark == 0 {
		return nil
	}
	return func(_, _ string, conn syscall.RawConn) error {
		var failed error
		if err := conn.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
		}); err != nil {
			return err
		}
		if failed != nil {
			return refused(mark, failed)
		}
		return nil
	}
}
