package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

const (
	manyPeers    = 10_000
	manyPrefixes = 130_560
)

// bigConfiguration returns a configuration with many peers and prefixes, spread
// evenly, and the prefixes of each peer.
func bigConfiguration(t *testing.T, peers, prefixes int) (text string, want map[string][]string) {
	t.Helper()
	var b strings.Builder
	want = map[string][]string{}
	next := 0
	for i := range peers {
		var key [32]byte
		rand.Read(key[:])
		public := base64.StdEncoding.EncodeToString(key[:])
		fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\nEndpoint = 192.0.2.%d:%d\n", public, 10+i%200, 1000+i%60000)
		list := []string{}
		for ; next < (i+1)*prefixes/peers; next++ {
			list = append(list, prefix(next))
		}
		if len(list) > 0 {
			fmt.Fprintf(&b, "AllowedIPs = %s\n", strings.Join(list, ", "))
		}
		slices.Sort(list)
		want[public] = list
	}
	return b.String(), want
}

// prefix returns the n-th of many different prefixes. Two thirds are of IPv4.
func prefix(n int) string {
	if n%3 == 2 {
		return fmt.Sprintf("fd00:%x:%x::/64", n>>16&0xffff, n&0xffff)
	}
	if n%3 == 1 {
		return fmt.Sprintf("%d.%d.%d.%d/31", 11+n>>16&0x3f, n>>8&255, n&255, 0)
	}
	return fmt.Sprintf("%d.%d.%d.%d/32", 80+n>>16&0x3f, n>>8&255, n&255, 7)
}

// A configuration with 10,000 peers, or one peer, and 130,560 prefixes is set quickly,
// and wg and wgconfig read it back unchanged. // A60, B22, B60
func TestLargeConfiguration(t *testing.T) {
	for _, c := range []struct {
		name            string
		peers, prefixes int
	}{
		{"10,000 peers", manyPeers, manyPrefixes},
		{"one peer", 1, manyPrefixes},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := lab.NewHost(t, "a")
			tun := h.Tunnel(lab.Settings{Port: 1234})
			text, want := bigConfiguration(t, c.peers, c.prefixes)
			h.Write("/etc/wireguard/wg0.conf", text)
			start := time.Now()
			h.Must("wg addconf wg0 /etc/wireguard/wg0.conf")
			set := time.Since(start)
			start = time.Now()
			got := map[string][]string{}
			for _, p := range tun.Peers() {
				slices.Sort(p.AllowedIPs)
				got[p.Public] = p.AllowedIPs
			}
			t.Logf("set in %v, read in %v", set, time.Since(start))
			compareConfigurations(t, "wg", got, want)
			compareConfigurations(t, "wgconfig", jsonConfiguration(t, h), want)
			if set > 20*time.Second || time.Since(start) > 40*time.Second {
				t.Errorf("set in %v, read in %v, want 20s and 40s at most", set, time.Since(start))
			}
		})
	}
}

func compareConfigurations(t *testing.T, by string, got, want map[string][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s shows %d peers, want %d", by, len(got), len(want))
	}
	for public, prefixes := range want {
		if !slices.Equal(got[public], prefixes) {
			t.Fatalf("%s: peer %s has %d prefixes, want %d", by, public, len(got[public]), len(prefixes))
		}
	}
}

func jsonConfiguration(t *testing.T, h *lab.Host) map[string][]string {
	t.Helper()
	var status struct {
		Peers []struct {
			PublicKey  string   `json:"public_key"`
			AllowedIPs []string `json:"allowed_ips"`
		} `json:"peers"`
	}
	if err := json.Unmarshal([]byte(h.Must("wgconfig wg0 show all --json")), &status); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, p := range status.Peers {
		slices.Sort(p.AllowedIPs)
		got[p.PublicKey] = p.AllowedIPs
	}
	return got
}

// Ten thousand idle peers need less than 40 MB of resident memory and no processor
// time. // B9
func TestMemoryOfIdlePeers(t *testing.T) {
	b, err := lab.Build()
	if err != nil {
		t.Fatal(err)
	}
	h := lab.NewHost(t, "a")
	h.Tunnel(lab.Settings{Port: 1234})
	text, _ := bigConfiguration(t, manyPeers, 2*manyPeers)
	h.Write("/etc/wireguard/wg0.conf", text)
	h.Must("wg addconf wg0 /etc/wireguard/wg0.conf")
	d := h.Daemon(lab.Ours)
	if b.Race {
		t.Log("not measured: the race detector needs memory itself")
		return
	}
	lab.Until(t, 30*time.Second, "the daemon has less than 40 MB resident", func() (bool, string) {
		s := d.Stat()
		return s.Resident < 40_000_000/1024, fmt.Sprintf("%d KiB", s.Resident)
	})
	before := d.Stat()
	time.Sleep(2 * time.Second)
	after := d.Stat()
	t.Logf("%d KiB resident", after.Resident)
	if busy := after.CPU - before.CPU; busy > 200*time.Millisecond {
		t.Errorf("the daemon used %v of processor time in 2 idle seconds, want 200ms at most", busy)
	}
}

// A hundred thousand peers with two prefixes each need at most 1.5 KB of memory each,
// once the garbage of configuring and reading them is collected. They need no threads,
// and no processor time while they are idle: peers have no timers and no goroutines.
// A60, B60
func TestHundredThousandPeers(t *testing.T) {
	const n = 100_000
	b, err := lab.Build()
	if err != nil {
		t.Fatal(err)
	}
	if b.Race {
		t.Log("not measured: the race detector needs memory itself")
		return
	}
	h := lab.NewHost(t, "a")
	h.Tunnel(lab.Settings{Port: 1234})
	d := h.Daemon(lab.Ours)
	empty := d.Stat()
	text, _ := bigConfiguration(t, n, 2*n)
	h.Write("/etc/wireguard/wg0.conf", text)
	for _, line := range []string{"wg addconf wg0 /etc/wireguard/wg0.conf", "wg show wg0 dump >/run/dump"} {
		if r := h.RunFor(5*time.Minute, line, nil); r.Code != 0 {
			t.Fatalf("%s\n%s", line, r.Err)
		} else {
			t.Logf("%s: %v", line, r.Took)
		}
	}
	lab.Until(t, 30*time.Second, "1.5 KB for each peer", func() (bool, string) {
		each := (d.Stat().Resident - empty.Resident) * 1024 / n
		return each <= 1500, fmt.Sprintf("%d bytes", each)
	})
	time.Sleep(2 * time.Second) // until the work after a change is done
	before := d.Stat()
	time.Sleep(5 * time.Second)
	after := d.Stat()
	t.Logf("%d bytes per peer, %v of processor time in 5 s", (after.Resident-empty.Resident)*1024/n, after.CPU-before.CPU)
	if busy := after.CPU - before.CPU; busy > 250*time.Millisecond {
		t.Errorf("the daemon used %v of processor time in 5 idle seconds, want 250ms at most", busy)
	}
	if after.Threads > empty.Threads+10 {
		t.Errorf("%d threads, %d before, want at most 10 more", after.Threads, empty.Threads)
	}
}
