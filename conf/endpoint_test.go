package conf_test

import (
	"errors"
	"strings"
	"testing"

	"wgd/conf"
)

// SplitEndpointName accepts names of hosts with a port, and refuses everything else.
func TestSplitEndpointName(t *testing.T) {
	for _, c := range []struct {
		in, host string
		port     uint16
	}{
		{"vpn.example.org:51820", "vpn.example.org", 51820},
		{"vpn.example.org.:1", "vpn.example.org.", 1},
		{"localhost:65535", "localhost", 65535},
		{"_wg.Host-1.example:7", "_wg.Host-1.example", 7},
	} {
		if host, port, err := conf.SplitEndpointName(c.in); host != c.host || port != c.port || err != nil {
			t.Errorf("%s: got %s, %d, %v", c.in, host, port, err)
		}
	}
	for _, bad := range []string{"", ":7", "h", "h:", "h:0", "h:65536", "h:domain", "192.0.2.1:7", "[::1]:7", "::1:7", "a..b:7", ".:7",
		"a b:7", "h\n:7", "ä:7", strings.Repeat("a", 64) + ":7", strings.Repeat("a.", 130) + "a:7"} {
		_, _, err := conf.SplitEndpointName(bad)
		if !errors.Is(err, conf.ErrInvalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want an error of one line that matches ErrInvalid", bad, err)
		}
		c := conf.Change{Peers: []conf.PeerChange{{EndpointName: &bad}}}
		if err := c.Validate(); (err == nil) != (bad == "") {
			t.Errorf("a change with the name %q: %v", bad, err)
		}
	}
}
