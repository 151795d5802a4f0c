package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"wgd/test/lab"
)

// oneOfMany connects two hosts by a tunnel, and gives the daemon of a many other peers, which
// are idle.
func oneOfMany(t lab.T, peers int) (a, b *lab.Host, d *lab.Daemon) {
	a, b = lab.Pair(t)
	lab.Connect(a, b, fmt.Sprintf("192.0.2.1:%d", serverPort), lab.Settings{Port: serverPort}, lab.Settings{})
	b.PingWithin(10*time.Second, lab.InnerA4)
	d = a.Daemon(lab.Ours)
	lines := make([]string, 0, 2*peers)
	for i := range peers {
		public := randomKey()
		_, v6 := prefixes(i)
		lines = append(lines, "public_key="+hex.EncodeToString(public[:]), "allowed_ip="+strings.Replace(v6, "fd00", "fd77", 1))
	}
	d.Set(lines...)
	return a, b, d
}

// readStatus measures how long it takes to read the status of many peers, and pings
// through the tunnel of another peer meanwhile.
func readStatus(t lab.T, o options) []figure {
	a, b, d := oneOfMany(t, o.peers)
	time.Sleep(3 * time.Second) // until the memory of the request is returned
	s := stormSetup{daemon: d, from: b}
	name := fmt.Sprintf("%d peers: ", o.peers)
	list := []figure{{name + "ping every 3 ms, idle", s.pings(t)}}
	for _, how := range []struct {
		what string
		read func() time.Duration
	}{
		{"status read through the socket", func() time.Duration { _, took := d.Ask("get=1\n\n"); return took }},
		{"summary read through the socket", func() time.Duration { _, took := d.Ask("summary=1\n\n"); return took }},
		{"wgd status", func() time.Duration { return a.RunFor(time.Minute, "wgd status wg0 >/run/status", nil).Took }},
	} {
		end, slowest := make(chan struct{}), make(chan time.Duration)
		go func() {
			longest := time.Duration(0)
			for {
				select {
				case <-end:
					slowest <- longest
					return
				default:
					longest = max(longest, how.read())
					time.Sleep(100 * time.Millisecond)
				}
			}
		}()
		text := s.pings(t)
		close(end)
		list = append(list, figure{name + how.what + ", the slowest of some", seconds(<-slowest)}, figure{"ping every 3 ms meanwhile", text})
	}
	return append(list, figure{name + "scrapes of wgd metrics", scrapes(a)})
}

// scrapes returns how long scrapes take that are so far apart that each reads the daemon.
func scrapes(h *lab.Host) string {
	h.Must("setsid wgd metrics >/run/metrics.log 2>&1 </dev/null & for i in $(seq 100); do grep -q serving /run/metrics.log && exit 0; sleep 0.1; done; exit 1")
	out := h.Must("for i in 1 2 3 4 5 6 7; do sleep 1.2; curl -sSf -o /dev/null -w '%%{time_total} ' http://127.0.0.1:9586/metrics; done")
	var list []string
	for _, word := range strings.Fields(out) {
		if took, err := time.ParseDuration(word + "s"); err == nil {
			list = append(list, fmt.Sprintf("%.1f ms", took.Seconds()*1e3))
		}
	}
	return strings.Join(list, ", ")
}
