package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"wgd/test/lab"
)

// Datagrams of every size and streams pass through a tunnel inside a tunnel. // A45, B48
func TestTunnelInTunnel(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t)
	ia := a.Tunnel(lab.Settings{Name: "wg1", Port: 4321, MTU: 1340, Addresses: []string{"10.3.0.1/24", "fd00:3::1/64"}})
	ib := b.Tunnel(lab.Settings{Name: "wg1", MTU: 1340, Addresses: []string{"10.3.0.2/24", "fd00:3::2/64"}})
	ia.Add(ib, lab.Peer{AllowedIPs: "10.3.0.2/32,fd00:3::2/128"})
	ib.Add(ia, lab.Peer{AllowedIPs: "10.3.0.1/32,fd00:3::1/128", Endpoint: "[fd00:2::1]:4321"})
	a.Echo()
	a.Sink(9)
	b.Sweep(lab.Sweep{Remote: addr("10.3.0.1"), From: 0, To: 1500})
	b.Sweep(lab.Sweep{Remote: addr("fd00:3::1"), From: 0, To: 1500})
	b.Stream(lab.Stream{Remote: addrPort("10.3.0.1:9"), Bytes: 16 << 20})
	b.Stream(lab.Stream{Remote: addrPort("[fd00:3::1]:9"), Bytes: 16 << 20})
}

// If the endpoint of a peer is inside its own tunnel, one ping does not become a storm,
// with or without a session. // A46
func TestEndpointInsideItsOwnTunnel(t *testing.T) {
	for _, c := range []struct {
		name, endpoint, ping string
		session              bool
	}{
		{"no session", "10.2.0.1:1234", "ping -n -c 1 -W 1 10.2.0.1", false},
		{"a session", "10.2.0.1:1234", "ping -n -c 1 -W 1 10.2.0.1", true},
		{"a session, IPv6", "[fd00:2::1]:1234", "ping -n -c 1 -W 1 fd00:2::1", true},
		{"a session, a large ping", "10.2.0.1:1234", "ping -n -c 1 -W 1 -s 4000 10.2.0.1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, b, _, _ := pair(t)
			if c.session {
				b.Ping("10.2.0.1", 1)
			}
			b.Must("wgconfig wg0 set peer a --endpoint=%s", c.endpoint)
			before := sentBytes(t, b)
			b.Run(c.ping)
			time.Sleep(3 * time.Second)
			if grown := sentBytes(t, b) - before; grown >= 70000 {
				t.Errorf("wg0's sent bytes grew by %d after one ping, want less than 70,000", grown)
			} else {
				t.Logf("wg0's sent bytes grew by %d", grown)
			}
			d := b.Daemon(lab.Ours)
			stat := d.Stat()
			time.Sleep(time.Second)
			if busy := d.Stat().CPU - stat.CPU; busy > 200*time.Millisecond {
				t.Errorf("the daemon used %v of processor time in an idle second, want 200ms at most", busy)
			}
			// The tunnel recovers.
			b.Must("wgconfig wg0 set peer a --endpoint=192.0.2.1:1234")
			b.PingWithin(12*time.Second, "10.2.0.1")
		})
	}
}

func sentBytes(t *testing.T, h *lab.Host) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(h.Must("cat /sys/class/net/wg0/statistics/tx_bytes")))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
