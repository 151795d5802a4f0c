package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

const (
	routedPeers = 10_000
	// flapTime is how long a route comes and goes, five times a second. All figures
	// together take less than the three minutes that a session lives.
	flapTime = 12 * time.Second
)

// Routes that come and go.
const (
	noRoute        = ""
	elsewhere      = "203.0.113.0/24 via 192.0.2.3"
	anotherGateway = "198.18.0.0/16 via 192.0.2.3 metric 0"                // to the peers
	anotherSource  = "198.18.0.0/16 via 192.0.2.3 metric 0 src 192.0.2.11" // to the peers
)

// flappingRoutes measures what it costs a daemon with many peers, each with a session
// and a sticky source, when a route comes and goes.
func flappingRoutes(t lab.T, _ options) (list []figure) {
	a, b := lab.Pair(t)
	d, w := meetPeers(t, a, b)
	defer w.Stop()
	b.Must("ip addr add 192.0.2.3/24 dev eth0") // the other gateway is the same host
	a.Must("ip addr add 192.0.2.11/24 dev eth0 && ip route add 198.18.0.0/16 via 192.0.2.2 metric 9 && ip route del 198.18.0.0/16 metric 0")
	for _, c := range []struct {
		busy   int // peers to which something is sent
		rate   float64
		routes []string
	}{
		{0, 0, []string{anotherGateway}},
		{100, 1000, []string{noRoute, anotherGateway}},
		{routedPeers, routedPeers, []string{noRoute, elsewhere, anotherGateway, anotherSource}},
	} {
		if c.busy > 0 {
			w := load.Start(a, load.UDPRound, load.Job{Count: c.busy, PacketRate: c.rate, Size: 100})
			defer w.Stop()
		}
		for _, route := range c.routes {
			what := fmt.Sprintf("%d of %d peers busy, %s: CPU in %v", c.busy, routedPeers, describe(route), flapTime)
			list = append(list, figure{what, fmt.Sprint(flap(a, d, route))})
		}
	}
	return list
}

func describe(route string) string {
	return map[string]string{
		noRoute:        "no route flaps",
		elsewhere:      "a route to elsewhere flaps",
		anotherGateway: "their route flaps",
		anotherSource:  "their route and source flap",
	}[route]
}

// meetPeers gives a daemon on host a sessions with many peers, played on host b.
func meetPeers(t lab.T, a, b *lab.Host) (*lab.Daemon, *load.Worker) {
	load.Settle(b, a)
	d := a.StartDaemon(lab.Ours)
	secret := randomKey()
	d.Set("private_key="+hex.EncodeToString(secret[:]), "listen_port=1234")
	public, err := base64.StdEncoding.DecodeString(strings.TrimSpace(a.Must("wg show wg0 public-key")))
	if err != nil {
		t.Fatalf("the public key of host a: %v", err)
	}
	peers := &load.Peers{Peers: routedPeers, Daemon: hex.EncodeToString(public)}
	// The peers send no data, and must count as alive nevertheless.
	a.Must("wgconfig wg0 sysctl -w net.wg.keepalive_timeout=170 net.wg.rekey_after_time=170")
	a.Must("ip link set wg0 up && ip route add 10.0.0.0/8 dev wg0")
	w := load.Start(b, load.Responders, load.Job{Peers: peers})
	var lines []string
	for i, public := range peers.Publics() {
		lines = append(lines, "public_key="+public, "allowed_ip="+load.Inner(i)+"/32", "endpoint="+load.Endpoint(i), "persistent_keepalive_interval=3600")
		if (i+1)%500 == 0 { // slowly, because in a storm some handshakes are lost
			d.Set(lines...)
			lines = lines[:0]
			time.Sleep(300 * time.Millisecond)
		}
	}
	if r := w.Ask(); r.Packets < routedPeers*99/100 {
		t.Fatalf("%d of %d peers have a session", r.Packets, routedPeers)
	}
	return d, w
}

// flap returns the daemon's processor time while a route comes and goes.
func flap(a *lab.Host, d *lab.Daemon, route string) time.Duration {
	change := ":"
	if route != noRoute {
		change = "ip route $what " + route
	}
	time.Sleep(500 * time.Millisecond)
	before := d.Stat().CPU
	a.RunFor(time.Minute, fmt.Sprintf("end=$(($(date +%%s) + %d)); while [ $(date +%%s) -lt $end ]; do for what in add del; do %s; sleep 0.1; done; done",
		int(flapTime.Seconds()), change), nil)
	return d.Stat().CPU - before
}
