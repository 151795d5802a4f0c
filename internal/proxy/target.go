package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A target is where a client wants to connect to: an address or a name, and a
// port.
type target struct {
	addr netip.Addr // not valid if there is a name
	name string
	port uint16
}

// newTarget makes a target of a host as a client wrote it. An address is often
// written where a name could be, with brackets too.
func newTarget(host string, port uint16) (target, error) {
	literal := host
	if in, ok := strings.CutPrefix(host, "["); ok {
		if literal, ok = strings.CutSuffix(in, "]"); !ok {
			return target{}, fmt.Errorf("host %q: the ] is missing", host)
		}
	}
	if addr, err := netip.ParseAddr(literal); err == nil {
		return addressTarget(addr, port)
	}
	switch {
	case literal != host:
		return target{}, fmt.Errorf("host %q: only an IPv6 address stands in brackets", host)
	case host == "":
		return target{}, errors.New("the host is empty: give a name or an address")
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || r == ':' || r == '/' }):
		return target{}, fmt.Errorf("host %q: a name has no such characters", host)
	}
	return target{name: host, port: port}, nil
}

func addressTarget(addr netip.Addr, port uint16) (target, error) {
	if addr.Zone() != "" {
		return target{}, fmt.Errorf("address %s: a tunnel has no zones: leave %%%s out", addr, addr.Zone())
	}
	return target{addr: addr.Unmap(), port: port}, nil
}

func (t target) host() string {
	if t.addr.IsValid() {
		return t.addr.String()
	}
	return t.name
}

func (t target) String() string { return net.JoinHostPort(t.host(), strconv.Itoa(int(t.port))) }
