package uapi

import (
	"net/netip"
	"strconv"

	"wgd/internal/invalid"
)

// parseNumber takes a decimal number that fits in *dst.
func parseNumber[T uint8 | uint16 | uint32 | uint64](name string, value []byte, dst **T) error {
	max := ^T(0)
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil || n > uint64(max) {
		return invalid.Errorf("%s: %s: give a number from 0 to %d", name, quote(value), max)
	}
	v := T(n)
	*dst = &v
	return nil
}

// parseTrue takes true, the only value that these keys have.
func parseTrue(name string, value []byte, dst *bool) error {
	if string(value) != "true" {
		return invalid.Errorf("%s: %s: the only value is true", name, quote(value))
	}
	*dst = true
	return nil
}

// parseEndpoint takes ADDRESS:PORT; names are resolved by who asks, never here
// (A63). An IPv4-mapped address is its IPv4 address (A54).
func parseEndpoint(name string, value []byte, dst **netip.AddrPort) error {
	ap, err := netip.ParseAddrPort(string(value))
	if err != nil {
		return invalid.Errorf("%s: %s: give ADDRESS:PORT or [ADDRESS]:PORT; names are not resolved here", name, quote(value))
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	*dst = &ap
	return nil
}
