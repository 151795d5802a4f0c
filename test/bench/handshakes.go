package main

import (
	"fmt"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// Handshakes are counted between one daemon and a crowd of peers, which a worker
// plays with real messages. Whole machines differ in how much of their cores
// the crowd takes for its own half of the work, so the daemon's CPU for each
// handshake is the figure to go by; the rate says what both achieved together.

// crowded is a host whose daemon knows a crowd, and a host where a worker plays it.
type handshakePair struct {
	host, from *lab.Host
	daemon     *lab.Daemon
	keys       keys
	seed       uint64 // of the next set of peers
}

func newHandshakePair(t lab.T, program string, nice int) *handshakePair {
	p := &handshakePair{keys: newKey(), seed: uint64(load.Now())}
	p.host, p.from = lab.Pair(t)
	load.Settle(p.from, p.host)
	p.daemon = startDaemon(p.host, program, nice)
	p.daemon.Set("private_key="+p.keys.private, fmt.Sprint("listen_port=", portA))
	p.host.Must("ip link set wg0 up")
	return p
}

// meet makes the daemon know a new crowd, and nobody else.
func (p *handshakePair) meet(peers int, reachable bool) *load.Crowd {
	p.seed++
	peerSet := &load.Crowd{Seed: p.seed, Peers: peers, Daemon: p.keys.public}
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

// forget takes the crowd away from the daemon, which then has nothing to do.
func (p *handshakePair) forget() { p.daemon.Set("replace_peers=true") }

// settle is how long a daemon has after a crowd has come or gone.
const settle = 300 * time.Millisecond

// respond lets many peers initiate as fast as the daemon answers: handshakes a
// second, and the CPU of the daemon for each, in µs. A handshake counts when its
// response has come, with which the daemon's part of the work is done.
func respond(t lab.T, s *testbed, length time.Duration) []float64 {
	const peers = 1000 // none of them initiates twice within 20 ms (A19)
	p := s.handshakes(t)
	defer p.forget()
	peerSet := p.meet(peers, false)
	w := load.Start(p.from, load.Initiators, load.Job{Remote: fmt.Sprintf("192.0.2.1:%d", portA),
		Count: int(3000 * length.Seconds()), Crowd: peerSet})
	defer w.Stop()
	time.Sleep(settle)
	cpu := p.daemon.Stat().CPU
	r := w.Ask()
	return p.figures(r, cpu)
}

// initiate gives the daemon reason to initiate to many peers at once: handshakes
// a second, and the CPU of the daemon for each, in µs. A handshake counts when
// the daemon has used its session.
func initiate(t lab.T, s *testbed, length time.Duration) []float64 {
	p := s.handshakes(t)
	defer p.forget()
	peerSet := p.meet(max(100, int(800*length.Seconds())), true)
	w := load.Start(p.from, load.Responders, load.Job{Crowd: peerSet})
	defer w.Stop()
	var lines []string
	for _, public := range peerSet.Publics() {
		// From none to some, a keepalive is due at once.
		lines = append(lines, "public_key="+public, "update_only=true", "persistent_keepalive_interval=3600")
	}
	time.Sleep(settle)
	cpu, began := p.daemon.Stat().CPU, load.Now()
	p.daemon.Set(lines...)
	r := w.Ask()
	r.Nanoseconds -= began
	return p.figures(r, cpu)
}

// figures are those of the handshakes in r, where cpu was the daemon's before them.
func (p *handshakePair) figures(r load.Reading, cpu time.Duration) []float64 {
	spent := p.daemon.Stat().CPU - cpu
	n := float64(r.Packets)
	return []float64{n / r.Seconds(), spent.Seconds() / n * 1e6}
}
