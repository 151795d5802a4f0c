package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// Fifteen hundred peers that lose their sessions at the same moment all have new ones
// within a minute. Meanwhile the tunnel of another peer works: no ping is lost, half of
// them take less than 250 ms, and a stream arrives unchanged. Whether the daemon
// requires cookies depends on the machine; the log of the test says so.
func TestDataFlowsInAStorm(t *testing.T) {
	const peers = 1500
	a, b, ta, _ := pair(t)
	b.PingWithin(10*time.Second, lab.InnerA4)
	a.Sink(9000)
	load.Settle(b, a)
	public, err := base64.StdEncoding.DecodeString(ta.Public)
	if err != nil {
		t.Fatal(err)
	}
	others := &load.Peers{Peers: peers, Daemon: hex.EncodeToString(public)}
	var lines []string
	for _, public := range others.Publics() {
		lines = append(lines, "public_key="+public)
	}
	a.Daemon(lab.Ours).Set(lines...)
	storm := load.Start(b, load.Reconnect, load.Job{Remote: "192.0.2.1:1234", Peers: others})
	defer storm.Stop()

	began := time.Now()
	storm.Ask()
	streamed := make(chan error, 1)
	go func() {
		_, err := b.TryStream(lab.Stream{Remote: addrPort(lab.InnerA4 + ":9000"), Time: 3 * time.Second})
		streamed <- err
	}()
	const atOnce = 200
	var times []time.Duration
	var r load.Reading
	for r.Packets < peers {
		some, lost := b.PingTimes(lab.InnerA4, atOnce, 5*time.Millisecond)
		times = append(times, some...)
		r = storm.Ask()
		if lost > 0 {
			t.Errorf("%d of %d pings were not answered, want none", lost, lost+len(some))
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("after a minute %d of %d peers have a session", r.Packets, peers)
		}
	}
	took := time.Since(began)
	if err := <-streamed; err != nil {
		t.Errorf("the stream during the storm: %v", err)
	}
	if len(times) == 0 {
		t.Fatal("no ping was answered")
	}
	slices.Sort(times)
	t.Logf("%d sessions in %v, %d initiations were repeated; %d pings, median %v, slowest %v",
		peers, took, r.Lost, len(times), times[len(times)/2], times[len(times)-1])
	if median := times[len(times)/2]; median > 250*time.Millisecond {
		t.Errorf("the median of the pings is %v, want 250ms at most", median)
	}
	if r.Lost == 0 {
		t.Log("this machine is faster than the storm: no peer needed a cookie")
	}
	lab.Until(t, 10*time.Second, "the daemon has a session with every peer", func() (bool, string) {
		have := 0
		for _, p := range ta.Peers() {
			if !p.Handshake.IsZero() {
				have++
			}
		}
		return have == peers+1, fmt.Sprintf("with %d of %d", have, peers+1)
	})
}
