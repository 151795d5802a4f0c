package load

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

// Peers are many peers of one daemon, which a worker simulates with real messages.
// Their keys are derived from the seed, so that both the daemon's configuration and
// the worker need no list of keys.
type Peers struct {
	Seed   uint64
	Peers  int    // at most 65,536
	Daemon string // public key, 64 hex digits
}

const (
	peerNet  = "198.18" // the first two bytes of a network for measurements (RFC 2544)
	peerPort = 5002
	// inFlight is the maximum number of unanswered handshakes. It keeps all cores of
	// the daemon busy without making it require cookies, which begins at an eighth of
	// a queue of 4,096, and of 1,024 in wireguard-go.
	inFlight = 64
	// patience is how long the peers wait for an answer before they continue without.
	patience = 250 * time.Millisecond
)

// Settle assigns each peer an address on a host, and adds the routes to it on the
// daemon's host.
func Settle(from, daemon *lab.Host) {
	daemon.Must("ip route add %s.0.0/16 via 192.0.2.2", peerNet)
	from.Must("ip route add local %s.0.0/16 dev lo", peerNet)
}

// Endpoint returns the endpoint of a peer. Each has its own address.
func Endpoint(peer int) string {
	return fmt.Sprintf("%s.%d.%d:%d", peerNet, peer>>8, peer&255, peerPort)
}

// Publics returns the public keys of the peers, 64 hex digits each.
func (c *Peers) Publics() []string {
	list := make([]string, c.Peers)
	inParallel(c.Peers, func(i int) { list[i] = c.private(i).Public().Hex() })
	return list
}

// private returns the private key of a peer.
func (c *Peers) private(peer int) key.Private {
	var text [16]byte
	binary.LittleEndian.PutUint64(text[:], c.Seed)
	binary.LittleEndian.PutUint64(text[8:], uint64(peer))
	b := sha256.Sum256(text[:])
	return key.NewPrivate(&b)
}

// member holds the keys of a peer for its handshakes.
type member struct {
	static *noise.Static
	daemon *noise.Remote
}

// members returns all peers, ready for handshakes.
func (c *Peers) members() ([]member, error) {
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

// inParallel calls do for 0 to n-1, on all cores.
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
