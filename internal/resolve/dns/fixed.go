package dns

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Servers are name servers that a program chooses. A Client for them reads no
// file of this computer.
type Servers struct {
	Addresses []netip.Addr // at least one; queried in this order
	Port      uint16       // of all of them: 53, except in tests
	Search    []string     // domains, without a final dot, that are appended to names without a dot

	// Dial opens the connections to them, "udp" and "tcp". The address has
	// numbers only.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// NewFixed returns a Client for these servers.
func NewFixed(s Servers) *Client {
	conf := &resolvConf{
		servers: s.Addresses, search: s.Search, ndots: defaultNdots,
		timeout: defaultTimeout, attempts: defaultAttempts,
	}
	sources := &[]source{{}}
	return &Client{
		port:       s.Port,
		resolvConf: func() *resolvConf { return conf },
		upstream:   func() *resolvConf { return &resolvConf{} },
		nsswitch:   func() *[]source { return sources },
		dial: func(ctx context.Context, _ uint32, network, address string) (net.Conn, error) {
			return s.Dial(ctx, network, address)
		},
		silent: map[netip.Addr]time.Time{},
	}
}

// Valid reports whether name can be looked up in DNS. A final dot is allowed.
func Valid(name string) bool {
	if n := len(name); n > 0 && name[n-1] == '.' {
		name = name[:n-1]
	}
	return valid(name)
}
