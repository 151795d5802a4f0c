package main

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/engine"
	"wgd/internal/lanes/lanestest"
	"wgd/internal/sys/clock"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
	"wgd/test/lab"
)

// A job has the parameters of the role of a process of these tests.
type job struct {
	Queues int           // of hub; negative: the number changes all the time, up to this many
	Side   byte          // of traffic: 1 is the side of the hub
	At     time.Time     // when traffic begins to send
	For    time.Duration // how long it sends
}

// A report is the answer of a worker.
type report struct {
	Drops     map[string]uint64 // of all its engines, by reason
	Changes   int
	Flows     int // to this side
	Sent      int // datagrams
	Received  int
	Missing   int
	Reordered int    // received after a later datagram of their flow
	Stream    int    // bytes received over TCP
	Fault     string // of a stream, or ""
}

var workers = lab.Crew[job, report]{"hub": job.hub, "spokes": job.spokes, "traffic": job.traffic}

const spokes = 4 // peers of the hub, all on one host

func TestMain(m *testing.M) {
	workers.Become()
	lab.BecomeAgent()
	code := m.Run()
	lab.RemoveBinaries()
	os.Exit(code)
}

// The k-th tunnel has its own networks, and its spoke its own port. Every other one
// has outer addresses of IPv4.
func inner4(k, side int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 9, byte(k), byte(side)})
}

func inner6(k, side int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("fd09:%d::%d", k, side))
}

func outer(k, side int) netip.AddrPort {
	at := netip.MustParseAddr(fmt.Sprintf("fd01::%d", side))
	if k%2 == 0 {
		at = netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", side))
	}
	if side == 1 {
		return netip.AddrPortFrom(at, port)
	}
	return netip.AddrPortFrom(at, uint16(2000+k))
}

// peerOf returns the other end of the k-th tunnel, as a peer of the given side.
func peerOf(k, side int) conf.PeerChange {
	other := 3 - side
	endpoint := outer(k, other)
	p := conf.PeerChange{PublicKey: secret(byte(10 + k)).Public(), Endpoint: &endpoint}
	if other == 1 {
		p.PublicKey = secret(1).Public()
	}
	for _, a := range []netip.Addr{inner4(k, other), inner6(k, other)} {
		p.AllowedIPs = append(p.AllowedIPs, conf.AllowedIPChange{Prefix: netip.PrefixFrom(a, a.BitLen())})
	}
	return p
}

// openInterface runs an engine for one interface with real sockets.
func openInterface(name string, number byte, listen uint16, queues int, w engine.World, ks []int, side int) (*engine.Engine, error) {
	device, err := tun.Create(name, tun.Options{Queues: queues})
	if err != nil {
		return nil, err
	}
	w.Clock, w.Rand, w.TUN = clock.Now, rand.Reader, device
	w.Listen = func(p uint16, mark uint32) (engine.Sockets, error) { return udp.Listen(p, udp.Options{Mark: mark}) }
	e := engine.Open(w, engine.Memory{})
	private := secret(number)
	change := conf.Change{PrivateKey: &private, ListenPort: &listen}
	line := fmt.Sprintf("ip link set %s mtu 1420 txqueuelen 5000 up", name)
	for _, k := range ks {
		change.Peers = append(change.Peers, peerOf(k, side))
		line += fmt.Sprintf(" && ip addr add %v/24 dev %s && ip addr add %v/64 dev %s nodad", inner4(k, side), name, inner6(k, side), name)
	}
	if err := e.Apply(change); err != nil {
		return nil, err
	}
	if err := e.Up(); err != nil {
		return nil, err
	}
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return e, nil
}

func (j job) hub() (func() (report, error), error) {
	var asked atomic.Int64
	var w engine.World
	w.Lanes.Scaler = lanestest.Queues(func() int {
		if j.Queues > 0 {
			return j.Queues
		}
		return 1 + int(asked.Add(1)/10)%-j.Queues
	})
	var ks []int
	for k := range spokes {
		ks = append(ks, k)
	}
	e, err := openInterface("wg0", 1, port, 8, w, ks, 1)
	return func() (report, error) {
		r := report{Drops: map[string]uint64{}, Changes: int(asked.Load() / 10)}
		r.add(e)
		return r, nil
	}, err
}

func (j job) spokes() (func() (report, error), error) {
	var all []*engine.Engine
	for k := range spokes {
		e, err := openInterface(fmt.Sprint("wg", k), byte(10+k), uint16(2000+k), 1, engine.World{}, []int{k}, 2)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return func() (report, error) {
		r := report{Drops: map[string]uint64{}}
		for _, e := range all {
			r.add(e)
		}
		return r, nil
	}, nil
}

func (r *report) add(e *engine.Engine) {
	for _, d := range e.Status().Drops {
		r.Drops[d.Reason] += d.Count
	}
}

// newTunnels returns two hosts with tunnels between them that work.
func newTunnels(t *testing.T, queues int) (a, b *lab.Host, hub *lab.Worker[report]) {
	t.Helper()
	if what := lab.Missing("ping", "ss"); what != "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this needs %s", what)
		}
		t.Skipf("LEFT OUT, needs %s: several queues of a real interface", what)
	}
	a, b = lab.Pair(t)
	hub = workers.Start(a, "hub", job{Queues: queues})
	t.Cleanup(hub.Stop)
	s := workers.Start(b, "spokes", job{})
	t.Cleanup(s.Stop)
	for k := range spokes {
		a.Must("ping -c 1 -W 5 %v && ping -c 1 -W 5 %v", inner4(k, 2), inner6(k, 2))
	}
	return a, b, hub
}

// exchange sends flows of small packets and a stream through each tunnel, in both
// directions, and returns the reports of both sides.
func exchange(a, b *lab.Host, d time.Duration) (at [2]report) {
	j := job{At: time.Now().Add(time.Second), For: d}
	j.Side = 1
	first := workers.Start(a, "traffic", j)
	defer first.Stop()
	j.Side = 2
	second := workers.Start(b, "traffic", j)
	defer second.Stop()
	return [2]report{first.Ask(), second.Ask()}
}

func check(t *testing.T, at [2]report, hub report) {
	t.Helper()
	for i, r := range at {
		other := at[1-i]
		t.Logf("side %d: received %d of %d datagrams of %d flows, %d out of order, and %d bytes of streams", i+1, r.Received, other.Sent, r.Flows, r.Reordered, r.Stream)
		if r.Flows != flows || r.Sent < 10*burst*flows || r.Missing != 0 || r.Received != other.Sent || r.Reordered != 0 {
			t.Errorf("side %d: of %d datagrams, %d flows received %d, with %d missing in between and %d out of order", i+1, other.Sent, r.Flows, r.Received, r.Missing, r.Reordered)
		}
		if r.Fault != "" || r.Stream == 0 {
			t.Errorf("side %d: received %d bytes of streams; fault: %q", i+1, r.Stream, r.Fault)
		}
	}
	for reason, n := range hub.Drops {
		if n > 0 && reason != "handshake" {
			t.Errorf("the hub dropped %d packets for the reason %s, want none", n, reason)
		}
	}
}

// flows is the number of flows, of both families together.
const flows = spokes * 2 * perPeer

// With four queues, eight sockets and four peers, all packets of both families arrive,
// and those of each flow in order.
func TestFourQueues(t *testing.T) {
	a, b, hub := newTunnels(t, 4)
	if got := a.Must("ip -d link show wg0"); !strings.Contains(got, "numqueues 4 ") {
		t.Errorf("wg0 does not have four queues: %s", got)
	}
	if got := a.Must("ss -Hluna 'sport = :%d'", port); strings.Count(got, "UNCONN") != 8 {
		t.Errorf("the hub does not have eight sockets: %s", got)
	}
	check(t, exchange(a, b, 3*time.Second), hub.Ask())
	if got := b.Must("ip -d link show wg1"); strings.Contains(got, "multi_queue") {
		t.Errorf("wg1 has several queues, want one: %s", got)
	}
}

// The same holds while the number of queues changes several times a second.
func TestQueuesChange(t *testing.T) {
	a, b, hub := newTunnels(t, -5)
	at := exchange(a, b, 4*time.Second)
	seen := hub.Ask()
	check(t, at, seen)
	if t.Logf("%d changes", seen.Changes); seen.Changes < 10 {
		t.Errorf("the number of queues changed %d times, want at least 10", seen.Changes)
	}
}
