package e2e

import (
	"net/netip"
	"testing"

	"wgd/test/lab"
)

// Datagrams with every payload size from 0 to 1500 arrive, in the four combinations
// of inner and outer family. Those longer than the MTU of the tunnel are sent as
// fragments of the inner packet. // A45, A47, A53, B14, B19, B24
func TestEverySizeInEveryFamily(t *testing.T) {
	for _, c := range []struct{ name, endpoint string }{
		{"over IPv4", "192.0.2.1:1234"},
		{"over IPv6", "[fd01::1]:1234"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			lab.Connect(a, b, c.endpoint, lab.Settings{}, lab.Settings{})
			a.Echo()
			b.Echo()
			for _, inner := range []string{lab.InnerA4, lab.InnerA6} {
				b.Sweep(lab.Sweep{Remote: netip.MustParseAddr(inner), From: 0, To: 1500})
			}
			for _, inner := range []string{lab.InnerB4, lab.InnerB6} {
				a.Sweep(lab.Sweep{Remote: netip.MustParseAddr(inner), From: 0, To: 1500})
			}
		})
	}
}
