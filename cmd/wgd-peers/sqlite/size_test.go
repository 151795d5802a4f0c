package sqlite

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

// sizePeers is how many peers TestSize has; make scale-peers has a million.
var sizePeers = flag.Int("peers", 5000, "how many peers TestSize has")

// Importing, reading and looking up many peers takes no memory for each, and every look-up
// returns the right one. The figures are in docs/fleet.md.
func TestSize(t *testing.T) {
	n := *sizePeers
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	begin := time.Now()
	added, _, err := f.Import(t.Context(), storetest.NumberedPeers(n), false, func(_ *store.Peer, err error) { t.Error(err) })
	if err != nil || added != n {
		t.Fatalf("%d of %d were added: %v", added, n, err)
	}
	t.Logf("import of %d peers: %v; peak memory %s", n, time.Since(begin).Round(time.Millisecond), peakMemory(t))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the file: %d bytes, %d for each peer", info.Size(), info.Size()/int64(n))

	begin = time.Now()
	read := 0
	for p, err := range f.All(t.Context()) {
		if err != nil || p.Problem != "" {
			t.Fatal(p, err)
		}
		read++
	}
	if read != n {
		t.Errorf("%d peers were read, want %d", read, n)
	}
	t.Logf("reading all: %v", time.Since(begin).Round(time.Millisecond))
	begin = time.Now()
	again := open(t, path)
	if _, err := again.ByName(t.Context(), "peer0"); err != nil {
		t.Fatal(err)
	}
	t.Logf("opening, and the first look-up: %v", time.Since(begin).Round(10*time.Microsecond))

	for _, c := range []struct {
		name   string
		lookUp func(i int) (*store.Peer, error)
	}{
		{"public key", func(i int) (*store.Peer, error) { return f.ByKey(t.Context(), storetest.Numbered(i).PublicKey) }},
		{"name", func(i int) (*store.Peer, error) { return f.ByName(t.Context(), storetest.Numbered(i).Name) }},
		{"IPv4 address", func(i int) (*store.Peer, error) {
			return f.ByAddress(t.Context(), storetest.Numbered(i).AllowedIPs[0].Addr())
		}},
		{"IPv6 address", func(i int) (*store.Peer, error) {
			return f.ByAddress(t.Context(), storetest.Numbered(i).AllowedIPs[1].Addr())
		}},
		{"endpoint", func(i int) (*store.Peer, error) { return f.ByEndpoint(t.Context(), storetest.EndpointOf(i)) }},
	} {
		const lookUps = 2000
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
	t.Logf("peak memory %s", peakMemory(t))
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
