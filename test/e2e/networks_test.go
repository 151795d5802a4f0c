package e2e

import (
	"testing"
	"time"

	"wgd/test/lab"
)

// unhurried makes every timer of the protocol so slow that a test can tell what is not
// done by a timer.
func unhurried(h *lab.Host) {
	h.Must("wgconfig wg0 sysctl -w net.wg.rekey_timeout=3600 net.wg.rekey_attempt_time=86400 net.wg.keepalive_timeout=3600")
}

// between returns a server and a client with two links between them, eth0 (wifi) and
// eth1 (cellular). The server has the address 203.0.113.1, to which the client's default
// route leads. The client has no address yet.
func between(t *testing.T) (server, client *lab.Host, ts, tc *lab.Tunnel) {
	t.Helper()
	server, client = lab.NewHost(t, "server"), lab.NewHost(t, "client")
	lab.Link(server, "eth0", []string{"192.0.2.1/24"}, client, "eth0", nil)
	lab.Link(server, "eth1", []string{"198.51.100.1/24"}, client, "eth1", nil)
	server.Must("ip addr add 203.0.113.1/32 dev lo")
	ts, tc = lab.Connect(server, client, "203.0.113.1:1234", lab.Settings{}, lab.Settings{Port: 1235})
	unhurried(server)
	unhurried(client)
	return server, client, ts, tc
}

// What a DHCP client does when it gets a lease, and what happens when a link is left.
const (
	joinWifi      = "ip addr add 192.0.2.2/24 dev eth0 && ip route add default via 192.0.2.1"
	leaveWifi     = "ip addr flush dev eth0"
	joinCellular  = "ip addr add 198.51.100.2/24 dev eth1 && ip route add default via 198.51.100.1"
	leaveCellular = "ip link set eth1 down"
)

// A client that only receives moves from one network to the other. The server learns its
// new address from a keepalive in the session, without a handshake and without any timer,
// and the client's port stays. // A51, A52
func TestSilentClientRoams(t *testing.T) {
	t.Parallel()
	server, client, ts, tc := between(t)
	client.Must(joinWifi)
	client.Ping(lab.InnerA4, 2)
	in := client.Collect(4000)
	server.StartFlow(lab.Flow{Remote: addrPort(lab.InnerB4 + ":4000"), Size: 100, Interval: 20 * time.Millisecond})
	arrives(t, client, in)

	for _, move := range []struct{ leave, join, on, endpoint string }{
		{leaveWifi, joinCellular, "eth1", "198.51.100.2:1235"},
		{leaveCellular, joinWifi, "eth0", "192.0.2.2:1235"},
	} {
		client.Must("%s", move.leave)
		wire := client.Watch(move.on)
		client.Must("%s", move.join)
		joined := time.Now()
		endpointIs(t, ts, tc, move.endpoint)
		arrives(t, client, in)
		packets := client.WatchedUDP(wire, 1235)
		first := some(t, messages(packets, data, true))[0]
		if first.Length != 32 || len(messages(packets, initiation, true)) > 0 {
			t.Errorf("the first datagram on %s is %v, want a keepalive, and no handshake", move.on, first)
		}
		t.Logf("a keepalive left %v after the default route was there", first.At.Sub(joined))
	}
}

// arrives waits until a flow goes on.
func arrives(t *testing.T, h *lab.Host, collector int) {
	t.Helper()
	before := len(h.Collected(collector))
	lab.Until(t, 20*time.Second, "datagrams arrive", func() (bool, string) {
		return len(h.Collected(collector)) > before, "none"
	})
}

// Without a network, a handshake cannot be sent. It is sent as soon as there is one,
// although the next attempt would be due in an hour.
func TestHandshakeAwaitsNetwork(t *testing.T) {
	t.Parallel()
	_, client, ts, tc := between(t)
	client.Must("ping -n -c 1 -W 1 %s || true", lab.InnerA4)
	if dropped(t, tc, "send") == 0 {
		t.Fatal("the handshake was not refused: this test proves nothing")
	}
	client.Must(joinWifi)
	endpointIs(t, ts, tc, "192.0.2.2:1235")
	client.Ping(lab.InnerA4, 2)
}

// Changes of addresses and routes that do not lead to the peer send it nothing.
func TestOtherNetworksChange(t *testing.T) {
	t.Parallel()
	_, client, _, _ := between(t)
	client.Must(joinWifi)
	client.Ping(lab.InnerA4, 2)
	wire := client.Watch("eth0")
	client.Must("for i in $(seq 20); do ip addr add 198.51.100.2/24 dev eth1 && ip route add 10.99.0.0/16 via 198.51.100.1 && ip addr del 198.51.100.2/24 dev eth1; done")
	client.Must("ip link set eth1 down && ip link set eth1 up")
	client.Ping(lab.InnerA4, 1)
	// The ping and its answer only.
	if n := len(client.WatchedUDP(wire, 1235)); n != 2 {
		t.Errorf("%d datagrams, want the ping and its answer: %v", n, client.WatchedUDP(wire, 1235))
	}
}
