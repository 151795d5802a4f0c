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
type crowded struct {
	host, from *lab.Host
	daemon     *lab.Daemon
	keys       keys
	seed       uint64 // of the next crowd
}

func newCrowded(t lab.T, program string, nice int) *crowded {
	c := &crowded{keys: newKey(), seed: uint64(load.Now())}
	c.host, c.from = lab.Pair(t)
	load.Settle(c.from, c.host)
	c.daemon = startDaemon(c.host, program, nice)
	c.daemon.Set("private_key="+c.keys.private, fmt.Sprint("listen_port=", portA))
	c.host.Must("ip link set wg0 up")
	return c
}

// meet makes the daemon know a new crowd, and nobody else.
func (c *crowded) meet(peers int, reachable bool) *load.Crowd {
	c.seed++
	crowd := &load.Crowd{Seed: c.seed, Peers: peers, Daemon: c.keys.public}
	lines := []string{"replace_peers=true"}
	for i, public := range crowd.Publics() {
		lines = append(lines, "public_key="+public, fmt.Sprintf("allowed_ip=10.%d.%d.0/32", i>>8, i&255))
		if reachable {
			lines = append(lines, "endpoint="+load.Endpoint(i))
		}
	}
	c.daemon.Set(lines...)
	return crowd
}

// forget takes the crowd away from the daemon, which then has nothing to do.
func (c *crowded) forget() { c.daemon.Set("replace_peers=true") }

// settle is how long a daemon has after a crowd has come or gone.
const settle = 300 * time.Millisecond

// respond lets many peers initiate as fast as the daemon answers: handshakes a
// second, and the CPU of the daemon for each, in µs. A handshake counts when its
// response has come, with which the daemon's part of the work is done.
func respond(t lab.T, s *stand, length time.Duration) []float64 {
	const peers = 1000 // none of them initiates twice within 20 ms (A19)
	c := s.crowd(t)
	defer c.forget()
	crowd := c.meet(peers, false)
	w := load.Start(c.from, load.Initiators, load.Job{Remote: fmt.Sprintf("192.0.2.1:%d", portA),
		Count: int(3000 * length.Seconds()), Crowd: crowd})
	defer w.Stop()
	time.Sleep(settle)
	cpu := c.daemon.Stat().CPU
	r := w.Ask()
	return c.figures(r, cpu)
}

// initiate gives the daemon reason to initiate to many peers at once: handshakes
// a second, and the CPU of the daemon for each, in µs. A handshake counts when
// the daemon has used its session.
func initiate(t lab.T, s *stand, length time.Duration) []float64 {
	c := s.crowd(t)
	defer c.forget()
	crowd := c.meet(max(100, int(800*length.Seconds())), true)
	w := load.Start(c.from, load.Responders, load.Job{Crowd: crowd})
	defer w.Stop()
	var lines []string
	for _, public := range crowd.Publics() {
		// From none to some, a keepalive is due at once.
		lines = append(lines, "public_key="+public, "update_only=true", "persistent_keepalive_interval=3600")
	}
	time.Sleep(settle)
	cpu, began := c.daemon.Stat().CPU, load.Now()
	c.daemon.Set(lines...)
	r := w.Ask()
	r.Nanoseconds -= began
	return c.figures(r, cpu)
}

// figures are those of the handshakes in r, where cpu was the daemon's before them.
func (c *crowded) figures(r load.Reading, cpu time.Duration) []float64 {
	spent := c.daemon.Stat().CPU - cpu
	n := float64(r.Packets)
	return []float64{n / r.Seconds(), spent.Seconds() / n * 1e6}
}
