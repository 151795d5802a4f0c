package mark_test

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/mark"
	"wgd/internal/sys/netns/netnstest"
)

// A socket that a net.Dialer opens has the mark before it connects (A53).
func TestControl(t *testing.T) {
	netnstest.Isolate(t) // marks need CAP_NET_ADMIN
	for _, want := range []uint32{0, 7, 0xca6c, 1<<32 - 1} {
		connecting := 0
		var d net.Dialer
		d.Control = func(network, address string, c syscall.RawConn) error {
			if control := mark.Control(want); control != nil {
				if err := control(network, address, c); err != nil {
					return err
				}
			}
			return c.Control(func(fd uintptr) {
				connecting++
				got, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK)
				if uint32(got) != want || err != nil {
					t.Errorf("mark %#x: the socket has %#x, %v", want, uint32(got), err)
				}
			})
		}
		if conn, err := d.Dial("udp", "127.0.0.1:53"); err == nil {
			conn.Close()
		}
		if connecting != 1 {
			t.Errorf("mark %#x: %d sockets, want 1", want, connecting)
		}
	}
}
