package proxyconf

import (
	"net/netip"
	"strings"
)

// LocalAddresses returns the addresses of a host outside of the tunnel that are known
// without a query to a name server: an address itself, localhost, and the names in the
// text of /etc/hosts.
func LocalAddresses(host, hosts string) (list []netip.Addr) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}
	}
	for line := range strings.Lines(hosts) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		for _, name := range fields[1:] {
			if err == nil && fold(name) == fold(host) {
				list = append(list, a.Unmap())
			}
		}
	}
	if len(list) == 0 && fold(host) == "localhost" {
		list = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return list
}
