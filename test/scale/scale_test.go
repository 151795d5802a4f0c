package main

import (
	"strings"
	"testing"

	"wgd/internal/uapi"
)

// The daemon can decode a request, which has all peers, and no prefix twice:
// otherwise peers would take prefixes from one another.
func TestRequest(t *testing.T) {
	const n = 70_000 // more than two bytes can count
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
			t.Fatalf("a peer is %+v, want an endpoint and a keepalive of 25", p)
		}
	}
	if len(r.Change.Peers) != n || len(seen) != 2*n {
		t.Errorf("%d peers, %d prefixes, want %d and %d", len(r.Change.Peers), len(seen), n, 2*n)
	}
}
