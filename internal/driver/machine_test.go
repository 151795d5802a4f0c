package driver

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/core"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// node is one machine with its gate.
type node struct {
	t       *testing.T
	m       *core.Machine
	index   *index.Table
	gate    *cookie.Gate
	private key.Private
	public  key.Public
}

var start = clock.Now{Mono: clock.Time(1000 * time.Second), Wall: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}

func at(d time.Duration) clock.Now {
	return clock.Now{Mono: start.Mono.Add(d), Wall: start.Wall.Add(d)}
}

func random(n byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{n}) }

// newNode returns a node that is up and has no peers.
func newNode(t *testing.T, n byte) *node {
	x := &node{t: t, index: index.New(), private: key.NewPrivate(&[32]byte{1: n})}
	x.public = x.private.Public()
	x.m = core.New(core.Options{Rand: random(n), Index: x.index})
	x.gate = cookie.NewGate(x.public, random(n+100))
	x.apply(conf.Change{PrivateKey: &x.private})
	x.m.Up(start)
	return x
}

func (x *node) apply(c conf.Change) {
	x.t.Helper()
	if err := x.m.Apply(start, c); err != nil {
		x.t.Fatal(err)
	}
}

// know makes another node a peer of x.
func (x *node) know(peer key.Public, at netip.AddrPort) {
	x.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: peer, Endpoint: &at}}})
}

// call makes another node a peer of x that needs a keepalive at once, so x starts a
// handshake.
func (x *node) call(peer key.Public, at netip.AddrPort) {
	interval := uint16(25)
	x.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: peer, Endpoint: &at, PersistentKeepalive: &interval}}})
}

// poll returns all outputs of x.
func (x *node) poll() (outs []core.Output) {
	for out, ok := x.m.Poll(); ok; out, ok = x.m.Poll() {
		outs = append(outs, out)
	}
	return outs
}

// only returns the single output of a kind, and fails the test if there is not exactly
// one.
func (x *node) only(kind core.Kind) *core.Output {
	x.t.Helper()
	var found *core.Output
	for _, out := range x.poll() {
		if out.Kind == kind && found == nil {
			found = &out
		} else if out.Kind == kind {
			x.t.Fatalf("two outputs of kind %d", kind)
		}
	}
	if found == nil {
		x.t.Fatalf("no output of kind %d", kind)
	}
	return found
}

// initiation returns an initiation from the owner of a private key.
func initiation(t *testing.T, from key.Private, to key.Public) []byte {
	t.Helper()
	msg, _, err := noise.CreateInitiation(nil, noise.NewStatic(from), noise.NewRemote(to), &[32]byte{7}, 1234, wire.StampAt(start.Wall))
	if err != nil {
		t.Fatal(err)
	}
	raw := msg.AppendTo(nil)
	cookie.NewMaker(to).AddMACs(start.Mono, raw)
	return raw
}
