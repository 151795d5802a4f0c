package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"time"

	"wgd/internal/noise"
	"wgd/key"
	"wgd/test/lab"
)

// Handshakes are counted between one daemon and a crowd of peers, which a worker
// plays with real messages. Whole machines differ in how much of their cores
// the crowd takes for its own half of the work, so the daemon's CPU for each
// handshake is the figure to go by; the rate says what both achieved together.

// crowd is the peers that a worker plays, and whom they know. Their keys follow
// from the seed, so that the daemon can be told of them and the worker can play
// them without a list.
type crowd struct {
	Seed   uint64
	Peers  int
	Daemon string // public key, 64 hex digits
}

// private is the key of a peer.
func (c *crowd) private(peer int) key.Private {
	var text [16]byte
	binary.LittleEndian.PutUint64(text[:], c.Seed)
	binary.LittleEndian.PutUint64(text[8:], uint64(peer))
	b := sha256.Sum256(text[:])
	return key.NewPrivate(&b)
}

// endpoint is where a peer can be reached: an address for each.
func endpoint(peer int) string {
	return fmt.Sprintf("%s.%d.%d:%d", crowdNet, peer>>8, peer&255, crowdPort)
}

const (
	crowdNet  = "198.18" // the first two bytes of a network for measurements (RFC 2544)
	crowdPort = 5002
	// inFlight is how many handshakes the crowd has unanswered at most: enough to
	// keep all cores of the daemon busy, and less than what makes either daemon ask
	// for cookies: an eighth of a queue of 4,096, and of 1,024 in wireguard-go.
	inFlight = 64
	// patience is how long the crowd waits for an answer before it goes on without.
	patience = 250 * time.Millisecond
)

// member is a peer of the crowd as the handshake sees it.
type member struct {
	static *noise.Static
	daemon *noise.Remote
}

// members are all peers of a crowd, ready to shake hands.
func (c *crowd) members() ([]member, error) {
	daemon, err := key.ParsePublicHex(c.Daemon)
	if err != nil {
		return nil, err
	}
	list := make([]member, c.Peers)
	inParallel(c.Peers, func(i int) {
		list[i] = member{noise.NewStatic(c.private(i)), noise.NewRemote(daemon)}
	})
	return list, nil
}

// inParallel does a thing n times, on all cores.
func inParallel(n int, do func(i int)) {
	cores := runtime.GOMAXPROCS(0)
	var wait sync.WaitGroup
	for core := range cores {
		wait.Go(func() {
			for i := core; i < n; i += cores {
				do(i)
			}
		})
	}
	wait.Wait()
}

// crowded is a host whose daemon knows a crowd, and a host where a worker plays it.
type crowded struct {
	host, from *lab.Host
	daemon     *daemon
	keys       keys
	seed       uint64 // of the next crowd
}

func newCrowded(t lab.T, program string, nice int) *crowded {
	c := &crowded{keys: newKey(), seed: uint64(now())}
	c.host, c.from = lab.Pair(t)
	c.host.Must("ip route add %s.0.0/16 via 192.0.2.2", crowdNet)
	c.from.Must("ip route add local %s.0.0/16 dev lo", crowdNet)
	c.daemon = startDaemon(t, c.host, program, nice)
	c.daemon.configure(t, []string{"private_key=" + c.keys.private, fmt.Sprint("listen_port=", portA)})
	c.host.Must("ip link set wg0 up")
	return c
}

// meet makes the daemon know a new crowd, and nobody else.
func (c *crowded) meet(t lab.T, peers int, reachable bool) *crowd {
	c.seed++
	crowd := &crowd{Seed: c.seed, Peers: peers, Daemon: c.keys.public}
	lines := []string{"replace_peers=true"}
	for i, public := range crowd.publics() {
		lines = append(lines, "public_key="+public, fmt.Sprintf("allowed_ip=10.%d.%d.0/32", i>>8, i&255))
		if reachable {
			lines = append(lines, "endpoint="+endpoint(i))
		}
	}
	c.daemon.configure(t, lines)
	return crowd
}

// forget takes the crowd away from the daemon, which then has nothing to do.
func (c *crowded) forget(t lab.T) { c.daemon.configure(t, []string{"replace_peers=true"}) }

func (c *crowd) publics() []string {
	list := make([]string, c.Peers)
	inParallel(c.Peers, func(i int) { list[i] = c.private(i).Public().Hex() })
	return list
}

// settle is how long a daemon has after a crowd has come or gone.
const settle = 300 * time.Millisecond

// respond lets many peers initiate as fast as the daemon answers: handshakes a
// second, and the CPU of the daemon for each, in µs. A handshake counts when its
// response has come, with which the daemon's part of the work is done.
func respond(t lab.T, s *stand, length time.Duration) []float64 {
	const peers = 1000 // none of them initiates twice within 20 ms (A19)
	c := s.crowd(t)
	defer c.forget(t)
	crowd := c.meet(t, peers, false)
	w := start(t, c.from, job{Role: "initiators", Remote: fmt.Sprintf("192.0.2.1:%d", portA),
		Count: int(3000 * length.Seconds()), Crowd: crowd})
	defer w.stop()
	time.Sleep(settle)
	cpu := c.daemon.stat(t).CPU
	r := w.ask(t)
	return c.figures(t, r, cpu)
}

// initiate gives the daemon reason to initiate to many peers at once: handshakes
// a second, and the CPU of the daemon for each, in µs. A handshake counts when
// the daemon has used its session.
func initiate(t lab.T, s *stand, length time.Duration) []float64 {
	c := s.crowd(t)
	defer c.forget(t)
	crowd := c.meet(t, max(100, int(800*length.Seconds())), true)
	w := start(t, c.from, job{Role: "responders", Crowd: crowd})
	defer w.stop()
	var lines []string
	for _, public := range crowd.publics() {
		// From none to some, a keepalive is due at once.
		lines = append(lines, "public_key="+public, "update_only=true", "persistent_keepalive_interval=3600")
	}
	time.Sleep(settle)
	cpu, began := c.daemon.stat(t).CPU, now()
	c.daemon.configure(t, lines)
	r := w.ask(t)
	r.Nanoseconds -= began
	return c.figures(t, r, cpu)
}

// figures are those of the handshakes in r, where cpu was the daemon's before them.
func (c *crowded) figures(t lab.T, r reading, cpu time.Duration) []float64 {
	spent := c.daemon.stat(t).CPU - cpu
	n := float64(r.Packets)
	return []float64{n / r.seconds(), spent.Seconds() / n * 1e6}
}
