package main

import (
	"os"
	"strings"
	"testing"

	"wgd/internal/uapi"
	"wgd/test/lab"
)

func TestMain(m *testing.M) {
	becomeSource()
	lab.BecomeAgent()
	os.Exit(m.Run())
}

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

// What fails within a trial is its error, and everything is taken down.
func TestBound(t *testing.T) {
	down := 0
	err := bound(func(t lab.T) {
		t.Cleanup(func() { down++ })
		t.Fatalf("no more %s", "hosts")
	})
	if err == nil || err.Error() != "no more hosts" || down != 1 {
		t.Errorf("%v, %d taken down", err, down)
	}
	if err := bound(func(lab.T) {}); err != nil {
		t.Error(err)
	}
}

// A job that makes no sense is refused.
func TestJobs(t *testing.T) {
	for _, text := range []string{`{"Role":"nonsense"}`, `{`, `{"Role":"storm","Server":"no key"}`} {
		if work(text) == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
