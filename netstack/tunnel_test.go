package netstack

import (
	"crypto/rand"
	"io"
	"net/netip"
	"testing"

	"wgd/conf"
	"wgd/key"
	"wgd/wg"
)

// tunnels returns count pairs of stacks with a tunnel between each pair. The
// datagrams of the tunnels pass over the loopback interface.
func tunnels(t *testing.T, count int) (pairs [][2]*Stack) {
	t.Helper()
	for range count {
		a, b := pair(t)
		from, to := open(t, a), open(t, b)
		at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Status().ListenPort)
		to.peer(t, conf.PeerChange{PublicKey: from.key.Public(), AllowedIPs: everything()})
		from.peer(t, conf.PeerChange{PublicKey: to.key.Public(), AllowedIPs: everything(), Endpoint: &at})
		pairs = append(pairs, [2]*Stack{a, b})
	}
	return pairs
}

type tunnel struct {
	*wg.Interface
	key key.Private
}

func open(t *testing.T, s *Stack) tunnel {
	t.Helper()
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w, err := wg.Open(wg.Options{Name: "test", Device: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := w.Apply(conf.Change{PrivateKey: &private}); err != nil {
		t.Fatal(err)
	}
	return tunnel{w, private}
}

func (w tunnel) peer(t *testing.T, p conf.PeerChange) {
	t.Helper()
	if err := w.Apply(conf.Change{Peers: []conf.PeerChange{p}}); err != nil {
		t.Fatal(err)
	}
}

func everything() []conf.AllowedIPChange {
	return []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("0.0.0.0/0")}, {Prefix: netip.MustParsePrefix("::/0")}}
}

// send sends an amount of data from a to b through a new connection.
func send(t *testing.T, a, b *Stack, amount int64) {
	t.Helper()
	l := listen(t, b)
	defer l.Close()
	received := make(chan int64, 1)
	go func() {
		var n int64
		if conn, err := l.Accept(); err == nil {
			n, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
		received <- n
	}()
	conn := dial(t, a)
	defer conn.Close()
	if _, err := io.CopyN(conn, zeros{}, amount); err != nil {
		t.Fatal(err)
	}
	conn.(interface{ CloseWrite() error }).CloseWrite()
	if n := <-received; n != amount {
		t.Fatalf("%d bytes arrived, want %d", n, amount)
	}
}

// TCP leaves the stack in super-packets and reaches the other stack in
// super-packets, although the datagrams between the tunnels have single segments.
func TestSuperPacketsFromStackToStack(t *testing.T) {
	const amount, segments = 64 << 20, 64 << 20 / 1380
	p := tunnels(t, 1)[0]
	send(t, p[0], p[1], amount)
	sent, received := p[0].stack.Stats().IP.PacketsSent.Value(), p[1].stack.Stats().IP.PacketsReceived.Value()
	t.Logf("%d packets sent and %d received for %d segments", sent, received, segments)
	if sent > segments/4 || received > segments/4 {
		t.Errorf("%d packets were sent and %d received for %d segments: most are not super-packets", sent, received, segments)
	}
}
