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

// Crowd is many peers of one daemon, which a worker plays with real messages.
// Their keys follow from the seed, so that the daemon can be told of them and
// the worker can play them without a list.
type Crowd struct {
	Seed   uint64
	Peers  int    // at most 65,536
	Daemon string // public key, 64 hex digits
}

const (
	crowdNet  = "198.18" // the first two bytes of a network for measurements (RFC 2544)
	crowdPort = 5002
	// inFlight is how many handshakes the crowd has unanswered at most, where it
	// is to keep all cores of the daemon busy and not to make it ask for cookies:
	// that begins with an eighth of a queue of 4,096, and of 1,024 in wireguard-go.
	inFlight = 64
	// patience is how long the crowd waits for an answer before it goes on without.
	patience = 250 * time.Millisecond
)

// Settle gives each peer of a crowd an address on a host's wire, and makes a
// daemon's host find it there.
func Settle(from, daemon *lab.Host) {
	daemon.Must("ip route add %s.0.0/16 via 192.0.2.2", crowdNet)
	from.Must("ip route add local %s.0.0/16 dev lo", crowdNet)
}

// Endpoint is where a peer can be reached: an address for each.
func Endpoint(peer int) string {
	return fmt.Sprintf("%s.%d.%d:%d", crowdNet, peer>>8, peer&255, crowdPort)
}

// Publics are the public keys of the peers, 64 hex digits each.
func (c *Crowd) Publics() []string {
	list := make([]string, c.Peers)
	inParallel(c.Peers, func(i int) { list[i] = c.private(i).Public().Hex() })
	return list
}

// private is the key of a peer.
func (c *Crowd) private(peer int) key.Private {
	var text [16]byte
	binary.LittleEndian.PutUint64(text[:], c.Seed)
	binary.LittleEndian.PutUint64(text[8:], uint64(peer))
	b := sha256.Sum256(text[:])
	return key.NewPrivate(&b)
}

// member is a peer of the crowd as the handshake sees it.
type member struct {
	static *noise.Static
	daemon *noise.Remote
}

// members are all peers of a crowd, ready to shake hands.
func (c *Crowd) members() ([]member, error) {
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
