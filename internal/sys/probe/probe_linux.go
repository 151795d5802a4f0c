package probe

import (
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/errno"
)

// one probes one endpoint, and returns the name of the error, or "" if it says nothing
// about the network: that this host has no route is known without a probe. Without the
// permission for the mark, it sends without it.
func one(endpoint netip.AddrPort, mark uint32, limit time.Duration) string {
	switch name := errno.Name(try(endpoint, mark, limit)); name {
	case "ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH":
		return name
	}
	return ""
}

func try(endpoint netip.AddrPort, mark uint32, limit time.Duration) error {
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			if mark != 0 {
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, int(mark))
			}
			// Otherwise only some ICMP errors are reported.
			unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_RECVERR, 1)
			unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_RECVERR, 1)
		})
	}}
	conn, err := dialer.Dial("udp", endpoint.String())
	if err != nil {
		return nil
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	if _, err := conn.Write(nil); err != nil {
		return err
	}
	var buf [1]byte
	_, err = conn.Read(buf[:])
	return err
}
