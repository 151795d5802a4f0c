package uapi

import (
	"net/netip"
	"strconv"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/quote"
)

// parseNumber parses a decimal number that fits into *dst.
func parseNumber[T uint8 | uint16 | uint32 | uint64](name string, value []byte, dst **T) error {
	max := ^T(0)
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil || n > uint64(max) {
		return invalid.Errorf("%s: %s: give a number from 0 to %d", name, quote.Text(string(value)), max)
	}
	v := T(n)
	*dst = &v
	return nil
}

// parseBit parses 0 or 1.
func parseBit(name string, value []byte) (*bool, error) {
	on := string(value) == "1"
	if !on && string(value) != "0" {
		return nil, invalid.Errorf("%s: %s: give 0 (off) or 1 (on)", name, quote.Text(string(value)))
	}
	return &on, nil
}

// parseTrue parses "true", the only value of some keys.
func parseTrue(name string, value []byte, dst *bool) error {
	if string(value) != "true" {
		return invalid.Errorf("%s: %s: the only value is true", name, quote.Text(string(value)))
	}
	*dst = true
	return nil
}

// parseEndpoint parses ADDRESS:PORT. A name is endpoint_name (A63).
// An IPv4-mapped address becomes an IPv4 address (A54).
func parseEndpoint(name string, value []byte, dst **netip.AddrPort) error {
	ap, err := netip.ParseAddrPort(string(value))
	if err != nil {
		return invalid.Errorf("%s: %s: give ADDRESS:PORT or [ADDRESS]:PORT, with the address as numbers", name, quote.Text(string(value)))
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	*dst = &ap
	return nil
}

// parseStamp parses a timestamp of initiations.
func parseStamp(name string, value []byte, dst **conf.Stamp) error {
	stamp, err := conf.ParseStamp(string(value))
	if err != nil {
		return invalid.Errorf("%s: %v", name, err)
	}
	*dst = &stamp
	return nil
}
