package e2e

import (
	"testing"
	"time"

	"wgd/test/lab"
)

// Each end moves to another address during a session. The other end learns it from the
// first data, without a handshake. // A51, B13
func TestRoaming(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := pair(t)
	b.Ping(lab.InnerA4, 2)
	endpointIs(t, ta, tb, "192.0.2.2:1235")
	wire := a.Watch("eth0")

	b.Must("ip addr add 192.0.2.22/24 dev eth0 && ip addr del 192.0.2.2/24 dev eth0 && (ip addr add 192.0.2.22/24 dev eth0 2>/dev/null || true)")
	b.Ping(lab.InnerA4, 2)
	endpointIs(t, ta, tb, "192.0.2.22:1235")
	a.Ping(lab.InnerB4, 2)

	a.Must("ip addr add 192.0.2.11/24 dev eth0 && ip addr del 192.0.2.1/24 dev eth0 && (ip addr add 192.0.2.11/24 dev eth0 2>/dev/null || true)")
	a.Ping(lab.InnerB4, 2)
	endpointIs(t, tb, ta, "192.0.2.11:1234")
	b.Ping(lab.InnerA4, 2)

	// B changes its port, and then the address family.
	b.Must("wgconfig wg0 set listen-port 5555")
	b.Ping(lab.InnerA4, 2)
	endpointIs(t, ta, tb, "192.0.2.22:5555")
	b.Must("wgconfig wg0 set peer a --endpoint=[fd01::1]:1234")
	b.Ping(lab.InnerA4, 2)
	endpointIs(t, ta, tb, "[fd01::2]:5555")
	a.Ping(lab.InnerB4, 2)

	some(t, messages(a.Watched(wire), data, false))
	if n := len(messages(a.Watched(wire), initiation, false)) + len(messages(a.Watched(wire), initiation, true)); n != 0 {
		t.Errorf("%d handshake initiations while roaming, want none", n)
	}
}

// Datagrams that are not authenticated do not change an endpoint: neither junk of every
// type, nor a replay of a genuine datagram from another address. // A7, A8, A51, B12
func TestJunkMovesNoEndpoint(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := pair(t)
	wire := b.Watch("eth0")
	b.Ping(lab.InnerA4, 2)
	s := b.Socket(":7777", "")
	replayed := 0
	for _, p := range b.WatchedUDP(wire, 1235) {
		if p.Out && p.Length == len(p.Payload) { // completely captured
			s.Send("192.0.2.1:1234", p.Payload)
			replayed++
		}
	}
	if replayed < 3 { // the initiation and two pings
		t.Fatalf("%d datagrams were replayed: this test proves nothing", replayed)
	}
	for kind := byte(0); kind < 6; kind++ {
		for _, size := range []int{32, 64, 92, 148} {
			s.Send("192.0.2.1:1234", append([]byte{kind}, make([]byte, size-1)...))
		}
	}
	if d, text := s.Receive(500 * time.Millisecond); text != "timeout" {
		t.Errorf("junk is answered: %v %s", d, text) // A5
	}
	a.Ping(lab.InnerB4, 1)
	if got := ta.Peer(tb).Endpoint; got != "192.0.2.2:1235" {
		t.Errorf("the endpoint is now %s, want it unchanged", got)
	}
}

// A link-local endpoint keeps its scope. // A54
func TestLinkLocalEndpoint(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	a.Must("ip addr add fe80::a/64 dev eth0")
	b.Must("ip addr add fe80::b/64 dev eth0")
	a.AwaitAddresses("eth0")
	b.AwaitAddresses("eth0")
	ta, tb := lab.Connect(a, b, "[fe80::a%eth0]:1234", lab.Settings{}, lab.Settings{Port: 1235})
	b.Ping(lab.InnerA4, 2)
	a.Ping(lab.InnerB6, 2)
	contains(t, ta.Peer(tb).Endpoint, "%eth0]:1235")
}
