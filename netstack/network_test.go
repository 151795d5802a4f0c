package netstack

import "testing"

func TestNetworks(t *testing.T) {
	for _, c := range []struct {
		network, address string
		want             string // "": refused
	}{
		{"tcp", ":80", "0.0.0.0:80"}, {"tcp4", ":80", "0.0.0.0:80"}, {"tcp6", ":80", "[::]:80"}, {"udp6", ":80", "[::]:80"},
		{"tcp", "[::]:80", "[::]:80"}, {"tcp6", "10.2.0.1:80", ""}, {"tcp4", "[fd00::1]:80", ""},
		{"tcp44", "10.2.0.1:80", ""}, {"tcp46", "10.2.0.1:80", ""}, {"udp64", ":80", ""}, {"", ":80", ""}, {"ip4", ":80", ""},
	} {
		_, got, err := parse(c.network, anyHost(c.network, c.address))
		if (err == nil) != (c.want != "") || err == nil && got.String() != c.want {
			t.Errorf("%s %s: %v, %v; want %q", c.network, c.address, got, err, c.want)
		}
	}
	s, _ := pair(t)
	for _, network := range []string{"tcp44", "udp66", "ip"} {
		if _, err := s.Dial(network, "name.test:80"); err == nil {
			t.Errorf("Dial with network %q: no error", network)
		}
	}
}
