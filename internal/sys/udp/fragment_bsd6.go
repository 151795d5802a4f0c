//go:build openbsd || netbsd

package udp

import (
	"errors"

	"golang.org/x/sys/unix"
)

// forbidFragments makes the socket send everything whole, or as at first. These systems
// have no such option for IPv4.
func forbidFragments(fd uintptr, v4, forbid bool) error {
	if v4 {
		return errors.ErrUnsupported
	}
	value := 0
	if forbid {
		value = 1
	}
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, value)
}
