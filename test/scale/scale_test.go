package main

import (
	"strings"
	"testing"

	"wgd/internal/uapi"
)

// A request is what the daemon understands, and has what it is said to have:
// no prefix twice, or peers would take them from one another.
func TestRequest(t *testing.T) {
	const n = 70_000 // over the edge of two bytes
	r, err := uapi.NewDecoder(strings.NewReader(request(n, true, "persistent_keepalive_interval=25\n"))).Next()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range r.Change.Peers {
		for _, a := range p.AllowedIPs {
			seen[a.Prefix.String()] = true
		}
		if p.Endpoint == nil || *p.PersistentKeepalive != 25 {
			t.Fatalf("%+v", p)
		}
	}
	if len(r.Change.Peers) != n || len(seen) != 2*n {
		t.Errorf("%d peers, %d prefixes", len(r.Change.Peers), len(seen))
	}
}
