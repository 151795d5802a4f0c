package dns

import (
	"net/netip"
	"strings"
)

// hosts has the addresses of the names in /etc/hosts, in lower case.
type hosts map[string][]netip.Addr

func parseHosts(text string) hosts {
	h := hosts{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			if list := h[name]; len(list) < maxAddresses {
				h[name] = appendNew(list, addr.Unmap())
			}
		}
	}
	return h
}

func (h hosts) lookup(host string) []netip.Addr {
	return usable(h[strings.ToLower(strings.TrimSuffix(host, "."))])
}
