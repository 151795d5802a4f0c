package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"wgd/test/lab"
)

// readStatus measures how long it takes to read the status of many peers, and pings
// through the tunnel of another peer meanwhile.
func readStatus(t lab.T, o options) []figure {
	a, b := lab.Pair(t)
	lab.Connect(a, b, fmt.Sprintf("192.0.2.1:%d", serverPort), lab.Settings{Port: serverPort}, lab.Settings{})
	b.PingWithin(10*time.Second, lab.InnerA4)
	d := a.Daemon(lab.Ours)
	lines := make([]string, 0, 2*o.peers)
	for i := range o.peers {
		public := randomKey()
		_, v6 := prefixes(i)
		lines = append(lines, "public_key="+hex.EncodeToString(public[:]), "allowed_ip="+strings.Replace(v6, "fd00", "fd77", 1))
	}
	d.Set(lines...)
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
	return list
}
