package uapi

import (
	"net/netip"
	"strconv"

	"wgd/internal/invalid"
)

// number takes a decimal number that fits in *dst.
func number[T uint8 | uint16 | uint32 | uint64](name string, value []byte, dst **T) error {
	most := ^T(0)
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil || n > uint64(most) {
		return invalid.Errorf("%s: %s: give a number from 0 to %d", name, quote(value), most)
	}
	v := T(n)
	*dst = &v
	return nil
}

// truth takes true, the only value that these keys have.
func truth(name string, value []byte, dst *bool) error {
	if string(value) != "true" {
		return invalid.Errorf("%s: %s: the only value is true", name, quote(value))
	}
	*dst = true
	return nil
}

// endpoint takes ADDRESS:PORT; names are resolved by who asks, never here
// (A63). An IPv4-mapped address is its IPv4 address (A54).
func endpoint(name string, value []byte, dst **netip.AddrPort) error {
	ap, err := netip.ParseAddrPort(string(value))
	if err != nil {
		return invalid.Errorf("%s: %s: give ADDRESS:PORT or [ADDRESS]:PORT; names are not resolved here", name, quote(value))
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	*dst = &ap
	return nil
}
