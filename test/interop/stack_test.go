package interop

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"wgd/key"
	"wgd/test/lab"
	"wgd/test/stackload"
)

// Programs that have a tunnel and a TCP/IP stack inside.
const ourStack, theirStack = "wgd-stack", "wireguard-go-stack"

// A TCP stream passes between the stack of a wgd tunnel and that of a wireguard-go
// tunnel, whichever sends. Neither host has an interface of a tunnel.
func TestStacksInProcesses(t *testing.T) {
	for _, c := range [][2]string{{ourStack, theirStack}, {theirStack, ourStack}} {
		t.Run(c[0]+" receives", func(t *testing.T) {
			t.Parallel()
			const amount, port = 16 << 20, 1234
			a, b := lab.Pair(t)
			ka, kb := newPrivate(t), newPrivate(t)
			remote := lab.InnerA4 + ":5001"
			sink := stackload.Start(a, c[0], stackload.Sink, stackload.Tunnel{
				Private: ka.Hex(), Peer: kb.Public().Hex(), Address: lab.InnerA4, Port: port, Remote: remote})
			defer sink.Stop()
			source := stackload.Start(b, c[1], stackload.Source, stackload.Tunnel{
				Private: kb.Hex(), Peer: ka.Public().Hex(), Address: lab.InnerB4, Endpoint: fmt.Sprint("192.0.2.1:", port), Remote: remote})
			defer source.Stop()
			lab.Until(t, time.Minute, "the stream arrives", func() (bool, string) {
				n := sink.Ask().Bytes
				return n >= amount, fmt.Sprintf("%d bytes have arrived", n)
			})
		})
	}
}

func newPrivate(t *testing.T) key.Private {
	t.Helper()
	k, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
