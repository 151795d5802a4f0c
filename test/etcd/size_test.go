package etcd

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

// sizePeers is how many peers TestSize has; make scale-etcd has 100,000.
var sizePeers = flag.Int("peers", 10000, "how many peers TestSize has")

// Importing, reading and looking up many peers: every look-up returns the right one. The
// figures are in docs/fleet.md.
func TestSize(t *testing.T) {
	n := *sizePeers
	c := newCluster(t, func(config *embed.Config) { config.QuotaBackendBytes = 8 << 30 })
	s := c.open(t, c.address())
	begin := time.Now()
	report := func(what string) {
		t.Logf("%s: %v", what, time.Since(begin).Round(time.Millisecond))
		begin = time.Now()
	}
	added, _, err := s.Import(t.Context(), storetest.NumberedPeers(n), false, func(_ *store.Peer, err error) { t.Error(err) })
	if err != nil || added != n {
		t.Fatalf("%d of %d were added: %v", added, n, err)
	}
	report(fmt.Sprintf("import of %d peers", n))
	k := c.foreign(t)
	status, err := k.Status(t.Context(), c.endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the database of a member: %d bytes, %d for each peer", status.DbSize, status.DbSize/int64(n))

	begin = time.Now()
	read := 0
	for p, err := range s.All(t.Context()) {
		if err != nil || p.Problem != "" {
			t.Fatal(p, err)
		}
		read++
	}
	if read != n {
		t.Errorf("%d peers were read, want %d", read, n)
	}
	report("reading all")
	p := storetest.Numbered(n)
	p.AllowedIPs = nil
	if err := s.Add(t.Context(), p, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); err != nil || p.AllowedIPs[0].Addr().Less(storetest.Numbered(n - 1).AllowedIPs[0].Addr()) {
		t.Errorf("a free address after the import: %v, %v", p.AllowedIPs, err)
	}
	report("adding a peer with a free address")
	for _, c := range []struct {
		name   string
		lookUp func(i int) (*store.Peer, error)
	}{
		{"public key", func(i int) (*store.Peer, error) { return s.ByKey(t.Context(), storetest.Numbered(i).PublicKey) }},
		{"name", func(i int) (*store.Peer, error) { return s.ByName(t.Context(), storetest.Numbered(i).Name) }},
		{"IPv4 address", func(i int) (*store.Peer, error) {
			return s.ByAddress(t.Context(), storetest.Numbered(i).AllowedIPs[0].Addr())
		}},
		{"IPv6 address", func(i int) (*store.Peer, error) {
			return s.ByAddress(t.Context(), storetest.Numbered(i).AllowedIPs[1].Addr())
		}},
		{"endpoint", func(i int) (*store.Peer, error) { return s.ByEndpoint(t.Context(), storetest.EndpointOf(i)) }},
	} {
		const lookUps = 300
		times := make([]time.Duration, lookUps)
		for i := range times {
			number := i * 7919 % n
			begin := time.Now()
			p, err := c.lookUp(number)
			times[i] = time.Since(begin)
			if err != nil || p.Name != fmt.Sprintf("peer%d", number) {
				t.Fatalf("look-up of peer %d by %s: %v, %v", number, c.name, p, err)
			}
		}
		slices.Sort(times)
		t.Logf("look-up by %s: median %v, 99%% under %v", c.name, times[lookUps/2], times[lookUps*99/100])
	}
	begin = time.Now()
	var sightings []store.Sighting
	for i := range min(n, 10000) {
		sightings = append(sightings, store.Sighting{PublicKey: storetest.Numbered(i).PublicKey, Endpoint: storetest.EndpointOf(i + 1), At: time.Unix(1764000001, 0), RxBytes: 1})
	}
	if _, err := s.Record(t.Context(), sightings); err != nil {
		t.Fatal(err)
	}
	report(fmt.Sprintf("recording %d sightings", len(sightings)))
	t.Logf("peak memory of the members, which are in this process, and of the test: %s", peakMemory(t))
}

// peakMemory returns the most resident memory that this process has had.
func peakMemory(t *testing.T) string {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
