package sqlite

import (
	"encoding/binary"
	"flag"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/wire"
	"wgd/key"
)

// sizePeers is how many peers TestSize has; make scale-peers has a million.
var sizePeers = flag.Int("peers", 5000, "how many peers TestSize has")

// numbered returns a peer in which everything follows from its number.
func numbered(n int) *store.Peer {
	var b [key.Size]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)*0x9e3779b97f4a7c15) // keys are in no order
	b[8] = 1
	var v4 [4]byte
	binary.BigEndian.PutUint32(v4[:], 10<<24|uint32(n))
	v6 := [16]byte{0: 0xfd}
	binary.BigEndian.PutUint32(v6[12:], uint32(n))
	return &store.Peer{
		Name: fmt.Sprintf("peer%d", n), PublicKey: key.Public(b), PresharedKey: key.NewPreshared(&b),
		AllowedIPs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4(v4), 32), netip.PrefixFrom(netip.AddrFrom16(v6), 128)},
		Seen:       store.Seen{Endpoint: endpointOf(n), At: time.Unix(1764000000, 0), Stamp: wire.StampAt(time.Unix(1764000000, 0))},
	}
}

func endpointOf(n int) netip.AddrPort {
	var v4 [4]byte
	binary.BigEndian.PutUint32(v4[:], 100<<24|uint32(n))
	return netip.AddrPortFrom(netip.AddrFrom4(v4), 51820)
}

func numberedPeers(n int) iter.Seq2[*store.Peer, error] {
	return func(yield func(*store.Peer, error) bool) {
		for i := range n {
			if !yield(numbered(i), nil) {
				return
			}
		}
	}
}

// Importing, reading and looking up many peers takes no memory for each, and every look-up
// returns the right one. The figures are in docs/fleet.md.
func TestSize(t *testing.T) {
	n := *sizePeers
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	begin := time.Now()
	added, _, err := f.Import(t.Context(), numberedPeers(n), false, func(_ *store.Peer, err error) { t.Error(err) })
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
		{"public key", func(i int) (*store.Peer, error) { return f.ByKey(t.Context(), numbered(i).PublicKey) }},
		{"name", func(i int) (*store.Peer, error) { return f.ByName(t.Context(), numbered(i).Name) }},
		{"IPv4 address", func(i int) (*store.Peer, error) { return f.ByAddress(t.Context(), numbered(i).AllowedIPs[0].Addr()) }},
		{"IPv6 address", func(i int) (*store.Peer, error) { return f.ByAddress(t.Context(), numbered(i).AllowedIPs[1].Addr()) }},
		{"endpoint", func(i int) (*store.Peer, error) { return f.ByEndpoint(t.Context(), endpointOf(i)) }},
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
