package fleet

import (
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

var (
	peerCount = flag.Int("peers", 240, "how many peers have data")
	// A peer whose first handshake after a switch is lost tries again after 5 seconds.
	within      = flag.Duration("within", 7*time.Second, "how long after a switch peers may be without answers")
	promptly    = flag.Duration("promptly", 2500*time.Millisecond, "how long a revocation takes, and how long peers may be without answers during a flood")
	revocations = flag.Int("revocations", 60, "how many peers are revoked")
	slack       = flag.Duration("slack", 2*time.Second, "how much longer 99 % of first handshakes may take than later ones")
	down        = flag.Duration("down", 8*time.Second, "how long etcd is down")
	handshakes  = flag.Int("handshakes", 150, "how many first handshakes are measured")
)

func TestMain(m *testing.M) {
	lab.BecomeAgent()
	crew.Become()
	load.Become()
	flag.Parse()
	build := func() error {
		return errors.Join(
			lab.BuildFrom("../../../cmd/wgd-peers", ".", "wgd-peers"),
			lab.BuildFrom("../../interop", "golang.zx2c4.com/wireguard", lab.Theirs))
	}
	os.Exit(lab.Main(m, "fleet", "several gateways with one key", build, "nft", "wg"))
}
