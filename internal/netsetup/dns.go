package netsetup

import (
	"errors"

	"wgd/internal/nameserver"
	"wgd/internal/wgconf"
)

// ErrNoServer is what keeps the domains of a file from being set.
var ErrNoServer = errors.New("there are domains, but no name server: add one to DNS")

// PlanDNS is the step that sets the name servers of a file, if it has any. An error is a
// reason why they are not set.
func PlanDNS(dns *wgconf.DNS) ([]Step, error) {
	switch {
	case len(dns.Servers) > 0:
	case len(dns.Search)+len(dns.Route) > 0:
		return nil, ErrNoServer
	default:
		return nil, nil
	}
	return []Step{{DNS: &nameserver.DNS{Servers: dns.Servers, Search: texts(dns.Search), Route: texts(dns.Route)}}}, nil
}

func texts(domains []wgconf.Domain) (list []string) {
	for _, domain := range domains {
		list = append(list, string(domain))
	}
	return list
}

// SetDNS sets the name servers, in place of those that the tunnel had.
func (k *Kernel) SetDNS(name string, dns *nameserver.DNS) (warning, err error) {
	return k.DNS.Set(name, dns)
}

// UnsetDNS restores what was before.
func (k *Kernel) UnsetDNS(name string) error { return k.DNS.Unset(name) }
