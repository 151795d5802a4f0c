package udp

import "golang.org/x/sys/windows"

// Options of ws2ipdef.h: IP_DONTFRAGMENT and IPV6_DONTFRAG.
const (
	optDontFragment4 = 14
	optDontFragment6 = 14
)

// forbidFragments makes the socket send everything whole and with DF, or as at first.
func forbidFragments(fd uintptr, v4, forbid bool) error {
	level, option, value := windows.IPPROTO_IPV6, optDontFragment6, 0
	if v4 {
		level, option = windows.IPPROTO_IP, optDontFragment4
	}
	if forbid {
		value = 1
	}
	return windows.SetsockoptInt(windows.Handle(fd), level, option, value)
}
