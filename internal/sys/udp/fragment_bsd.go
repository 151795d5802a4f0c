//go:build darwin || freebsd

package udp

import "golang.org/x/sys/unix"

// forbidFragments makes the socket send everything whole and with DF, or as at first.
func forbidFragments(fd uintptr, v4, forbid bool) error {
	level, option, value := unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 0
	if v4 {
		level, option = unix.IPPROTO_IP, unix.IP_DONTFRAG
	}
	if forbid {
		value = 1
	}
	return unix.SetsockoptInt(int(fd), level, option, value)
}
