// Package resolve parses an endpoint as a user writes it. It looks up no names of
// hosts: the daemon does (packages dns, names and follow).
package resolve

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"wgd/internal/quote"
)

// An Endpoint is a host and a port as the user wrote them.
type Endpoint struct {
	Host string // a name, or an address without brackets, possibly with a %scope
	Port string // a number or the name of a service
}

// Parse parses HOST:PORT, [ADDRESS]:PORT, and ADDRESS:PORT with an IPv6 address
// without brackets, in which the last colon precedes the port.
func Parse(s string) (Endpoint, error) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return Endpoint{}, fmt.Errorf("endpoint %q: no port: write HOST:PORT", quote.Name(s))
	}
	e := Endpoint{Host: s[:colon], Port: s[colon+1:]}
	if strings.HasPrefix(e.Host, "[") {
		inside, closed := strings.CutSuffix(e.Host[1:], "]")
		if !closed || strings.ContainsAny(inside, "[]") {
			return Endpoint{}, fmt.Errorf("endpoint %q: wrong brackets: write [ADDRESS]:PORT", quote.Name(s))
		}
		e.Host = inside
	}
	switch {
	case e.Host == "":
		return Endpoint{}, fmt.Errorf("endpoint %q: no host: write HOST:PORT", quote.Name(s))
	case e.Port == "":
		return Endpoint{}, fmt.Errorf("endpoint %q: no port after the last colon: write HOST:PORT", quote.Name(s))
	case strings.ContainsAny(s, " \t\r\n/") || strings.ContainsAny(e.Host, "[]"):
		return Endpoint{}, fmt.Errorf("endpoint %q: %q is not a host: write HOST:PORT", quote.Name(s), quote.Name(e.Host))
	case strings.Contains(e.Host, ":"):
		if _, err := netip.ParseAddr(e.Host); err != nil {
			return Endpoint{}, fmt.Errorf("endpoint %q: %q is not an IPv6 address: write [ADDRESS]:PORT", quote.Name(s), quote.Name(e.Host))
		}
	}
	if n, err := strconv.ParseUint(e.Port, 10, 64); err == nil && (n == 0 || n > 65535) {
		return Endpoint{}, fmt.Errorf("endpoint %q: port %d: ports are 1 to 65535", quote.Name(s), n)
	}
	return e, nil
}

// String returns the endpoint in a form that Parse accepts.
func (e Endpoint) String() string {
	if strings.Contains(e.Host, ":") {
		return "[" + e.Host + "]:" + e.Port
	}
	return e.Host + ":" + e.Port
}

// Literal returns the address and port if neither host nor port is a name. It
// turns an IPv4-mapped address into the IPv4 address (A54) and keeps the scope
// of a link-local one.
func (e Endpoint) Literal() (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(e.Host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(e.Port, 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), true
}

// Named returns HOST:PORT for an endpoint whose host is a name, with the port as a
// number: the name of a service is looked up in this computer's list. A host that is an
// address is an error.
func (e Endpoint) Named() (string, error) {
	port, err := net.LookupPort("udp", e.Port)
	if err != nil || port <= 0 || port > 65535 {
		return "", fmt.Errorf("endpoint %s: %q is not a port: give a number from 1 to 65535", quote.Name(e.String()), quote.Name(e.Port))
	}
	return e.Host + ":" + strconv.Itoa(port), nil
}
