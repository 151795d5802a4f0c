package main

import (
	"fmt"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// Handshakes are counted between one daemon and many peers, which a worker
// simulates with real messages. Both share the machine, and how much of it the
// worker needs for its half of the work differs between machines. So the CPU time
// of the daemon for each handshake is the figure to compare; the rate is what both
// achieve together.

// A handshakePair is a host with a daemon that knows many peers, and a host with
// the worker that simulates them.
type handshakePair struct {
	host, from *lab.Host
	daemon     *lab.Daemon
	keys       keys
	seed       uint64 // of the next set
	gateway    bool   // the host has routes for packets of the peers
}

// daemonAt is where the peers reach the daemon.
var daemonAt = fmt.Sprint("192.0.2.1:", portA)

func newHandshakePair(t lab.T, program string, nice int) *handshakePair {
	p := &handshakePair{keys: newKey(), seed: uint64(load.Now())}
	p.host, p.from = lab.Pair(t)
	load.Settle(p.from, p.host)
	p.daemon = startDaemon(p.host, program, nice)
	p.daemon.Set("private_key="+p.keys.private, fmt.Sprint("listen_port=", portA))
	p.host.Must("ip link set wg0 up")
	return p
}

// meet replaces the peers of the daemon with a new set. If they are reachable, the
// daemon knows their endpoints.
func (p *handshakePair) meet(peers int, reachable bool) *load.Peers {
	p.seed++
	peerSet := &load.Peers{Seed: p.seed, Peers: peers, Daemon: p.keys.public}
	lines := []string{"replace_peers=true"}
	for i, public := range peerSet.Publics() {
		lines = append(lines, "public_key="+public, fmt.Sprintf("allowed_ip=10.%d.%d.0/32", i>>8, i&255))
		if reachable {
			lines = append(lines, "endpoint="+load.Endpoint(i))
		}
	}
	p.daemon.Set(lines...)
	return peerSet
}

// forget removes all peers from the daemon, which then has nothing to do.
func (p *handshakePair) forget() { p.daemon.Set("replace_peers=true") }

// settle is how long a daemon may take to process a new set of peers.
const settle = 300 * time.Millisecond

// respond lets many peers initiate as fast as the daemon answers. It returns the
// handshakes per second, and the CPU time of the daemon for each, in µs. A
// handshake counts when its response arrives: the daemon's work is done by then.
func respond(t lab.T, s *testbed, length time.Duration) []float64 {
	const peers = 1000 // so many that none initiates twice within 20 ms (A19)
	p := s.handshakes(t)
	defer p.forget()
	peerSet := p.meet(peers, false)
	w := load.Start(p.from, load.Initiators, load.Job{Remote: daemonAt,
		Count: int(3000 * length.Seconds()), Peers: peerSet})
	defer w.Stop()
	time.Sleep(settle)
	cpu := p.daemon.Stat().CPU
	r := w.Ask()
	return p.figures(r, cpu)
}

// initiate makes the daemon initiate to many peers at once. It returns the
// handshakes per second, and the CPU time of the daemon for each, in µs. A
// handshake counts when the daemon has used its session.
func initiate(t lab.T, s *testbed, length time.Duration) []float64 {
	p := s.handshakes(t)
	defer p.forget()
	peerSet := p.meet(max(100, int(800*length.Seconds())), true)
	w := load.Start(p.from, load.Responders, load.Job{Peers: peerSet})
	defer w.Stop()
	var lines []string
	for _, public := range peerSet.Publics() {
		// When the interval changes from zero, a keepalive is due at once.
		lines = append(lines, "public_key="+public, "update_only=true", "persistent_keepalive_interval=3600")
	}
	time.Sleep(settle)
	cpu, began := p.daemon.Stat().CPU, load.Now()
	p.daemon.Set(lines...)
	r := w.Ask()
	r.Nanoseconds -= began
	return p.figures(r, cpu)
}

// figures returns the figures of the handshakes in r. cpu is the CPU time that the
// daemon had used before them.
func (p *handshakePair) figures(r load.Reading, cpu time.Duration) []float64 {
	spent := p.daemon.Stat().CPU - cpu
	n := float64(r.Packets)
	return []float64{n / r.Seconds(), spent.Seconds() / n * 1e6}
}
