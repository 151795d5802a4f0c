package udp

import "golang.org/x/sys/unix"

// forbidFragments makes the socket send everything whole and with DF, or as at first.
func forbidFragments(fd uintptr, v4, forbid bool) error {
	level, option, value := unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_WANT
	if v4 {
		level, option, value = unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_WANT
	}
	if forbid {
		value = unix.IP_PMTUDISC_PROBE // that of IPv6 has the same number
	}
	return unix.SetsockoptInt(int(fd), level, option, value)
}
