package netstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"wgd/internal/resolve/dns"
)

// dnsPort is the port of all name servers.
const dnsPort = 53

// names looks up names at name servers inside the tunnel.
type names struct {
	servers []netip.Addr
	client  *dns.Client // nil without servers

	has4, has6 bool // the families of the stack's addresses

	mu      sync.Mutex
	current int // the index in servers of the one that Resolver queries
}

// newNames checks the options, which belong to the new stack s.
func newNames(s *Stack, o Options) (*names, error) {
	n := &names{}
	for _, address := range o.Addresses {
		n.has4 = n.has4 || address.Addr().Is4()
		n.has6 = n.has6 || address.Addr().Is6()
	}
	for _, server := range o.NameServers {
		server = server.Unmap()
		if !server.IsValid() || server.IsUnspecified() || server.IsLoopback() || server.IsMulticast() {
			return nil, fmt.Errorf("name server %v: give the address of a name server inside the tunnel", server)
		}
		n.servers = append(n.servers, server.WithZone(""))
	}
	var domains []string
	for _, domain := range o.Search {
		if domain != "." && !dns.Valid(domain) {
			return nil, fmt.Errorf("search domain %q: not the name of a domain", domain)
		}
		if domain = strings.TrimSuffix(domain, "."); domain != "" {
			domains = append(domains, domain)
		}
	}
	if len(n.servers) > 0 {
		n.client = dns.NewFixed(dns.Servers{
			Addresses: n.servers, Port: dnsPort, Search: domains, Dial: s.DialContext,
		})
	}
	return n, nil
}

var errNoNameServers = errors.New("no name server is known: set Options.NameServers, or give an IP address")

// LookupNetIP returns the addresses of a host. The network is "ip", "ip4" or
// "ip6". It queries the servers in Options.NameServers, through the tunnel, and
// nothing else: no file and no name server of this computer. An IP address as the
// host is returned as it is.
//
// Its errors are of the type *net.DNSError, with IsNotFound set if the name does
// not exist or has no address of this network, and with IsTimeout set if no name
// server answered. A lookup ends with ctx, and after 30 seconds at the latest.
func (s *Stack) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var family dns.Family
	switch network {
	case "ip":
	case "ip4":
		family = dns.IPv4
	case "ip6":
		family = dns.IPv6
	default:
		return nil, &net.DNSError{Err: net.UnknownNetworkError(network).Error(), Name: host}
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		if (family == dns.IPv4 && !addr.Is4()) || (family == dns.IPv6 && !addr.Is6()) {
			return nil, &net.DNSError{Err: "it is not an address of network " + network, Name: host, IsNotFound: true}
		}
		return []netip.Addr{addr}, nil
	}
	if s.names.client == nil {
		return nil, &net.DNSError{Err: errNoNameServers.Error(), Name: host, UnwrapErr: errNoNameServers}
	}
	answer, err := s.names.client.LookupFamily(ctx, host, family)
	if err != nil {
		return nil, dnsError(ctx, host, err)
	}
	return answer.Addresses, nil
}

// LookupHost is LookupNetIP for both address families, with the addresses as
// text. Some database drivers accept this function as their resolver.
func (s *Stack) LookupHost(ctx context.Context, host string) ([]string, error) {
	list, err := s.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	text := make([]string, len(list))
	for i, addr := range list {
		text[i] = addr.String()
	}
	return text, nil
}

// dnsError returns the error in the form of package net.
func dnsError(ctx context.Context, host string, err error) error {
	if cause := ctx.Err(); cause != nil {
		return &net.DNSError{
			Err: cause.Error(), Name: host, UnwrapErr: cause,
			IsTimeout: errors.Is(cause, context.DeadlineExceeded), IsTemporary: true,
		}
	}
	var failure *dns.Error
	if !errors.As(err, &failure) {
		return &net.DNSError{Err: err.Error(), Name: host, UnwrapErr: err}
	}
	e := &net.DNSError{Err: failure.Reason(), Name: host}
	switch failure.Kind {
	case dns.NotFound, dns.NoAddress:
		e.IsNotFound = true
	case dns.NoAnswer:
		e.IsTimeout, e.IsTemporary = true, true
	case dns.ServerFailed:
		e.IsTemporary = true
	}
	return e
}
