package e2e

import (
	"fmt"
	"testing"
	"time"

	"wgd/test/lab"
)

// The counters are exactly the payload bytes of the UDP datagrams, including
// handshakes. // A45, B14, B24
func TestExactCounters(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := pair(t)
	for _, h := range []*lab.Host{a, b} {
		h.Must("wgconfig wg0 sysctl -w net.wg.path_mtu_probes=0") // they count as well
	}
	wire := b.Watch("eth0")

	// One ping: the initiation has 148 bytes, the response 92. The packet of 84 bytes
	// is padded to 96, with 32 bytes of header and tag, in each direction. The staged
	// ping confirms the session, so there is no keepalive.
	b.Must("ping -n -c 1 -s 56 -W 2 " + lab.InnerA4)
	checkCounters(t, "after one ping", ta, tb, 92+128, 148+128)

	// Junk does not count.
	s := b.Socket("", "192.0.2.1:1234")
	for _, size := range []int{0, 1, 31, 32, 64, 92, 148, 1400} {
		junk := make([]byte, size)
		if size > 0 {
			junk[0] = byte(1 + size%4)
		}
		if text := s.Send("", junk); text != "" {
			t.Fatalf("junk of %d bytes: %s", size, text)
		}
	}
	checkCounters(t, "after junk", ta, tb, 92+128, 148+128) // A7

	// After much traffic they equal the sum of the captured packets.
	a.Sink(9)
	b.Stream(lab.Stream{Remote: addrPort("10.2.0.1:9"), Bytes: 20 << 20})
	compareCounters(t, "after 20 MB", ta, tb, func() (in, out uint64) {
		for _, p := range b.WatchedUDP(wire, 1235) {
			if p.Out {
				out += uint64(p.Length)
			} else {
				in += uint64(p.Length)
			}
		}
		return in, out
	})
}

// checkCounters compares the counters of both ends with what B should have received and
// sent.
func checkCounters(t *testing.T, when string, ta, tb *lab.Tunnel, rx, tx uint64) {
	t.Helper()
	compareCounters(t, when, ta, tb, func() (uint64, uint64) { return rx, tx })
}

// compareCounters compares the counters of both ends with what B received and sent, until
// they are the same: the last packets may still be on their way, and are counted after
// they were sent.
func compareCounters(t *testing.T, when string, ta, tb *lab.Tunnel, want func() (rx, tx uint64)) {
	t.Helper()
	lab.Until(t, 5*time.Second, when+", the counters are those of the datagrams", func() (bool, string) {
		rx, tx := want()
		pa, pb := ta.Peer(tb), tb.Peer(ta)
		return pb.Rx == rx && pb.Tx == tx && pa.Rx == tx && pa.Tx == rx,
			fmt.Sprintf("A received %d and sent %d, B received %d and sent %d; B should have received %d and sent %d",
				pa.Rx, pa.Tx, pb.Rx, pb.Tx, rx, tx)
	})
}

// Persistent keepalives have 32 bytes. The first is sent when the interval is set, and
// then one in each interval. None reaches the interface. // A40, A41
func TestPersistentKeepalive(t *testing.T) {
	t.Parallel()
	a, b, ta, tb := pair(t)
	b.Ping(lab.InnerA4, 1)
	inner, wire := a.Watch("wg0"), b.Watch("eth0")
	begun := time.Now()
	b.Must("wgconfig wg0 set peer a --persistent-keepalive=1")
	var sent []lab.Packet
	lab.Until(t, 15*time.Second, "five keepalives", func() (bool, string) {
		sent = messages(b.WatchedUDP(wire, 1235), data, true)
		return len(sent) >= 5, fmt.Sprint(sent)
	})
	if limit := 2 + int(time.Since(begun).Seconds()); len(sent) > limit {
		t.Errorf("%d keepalives in %v, want one at once and one per second: %v", len(sent), time.Since(begun), sent)
	}
	for _, p := range sent {
		if p.Length != 32 {
			t.Errorf("a keepalive of %d bytes, want 32", p.Length)
		}
	}
	quiet := len(a.Watched(inner))
	b.Ping(lab.InnerA4, 1)
	for _, p := range some(t, a.Watched(inner))[:quiet] {
		if !p.Out {
			t.Errorf("a keepalive reached the interface: %v", p)
		}
	}
	if k := tb.Peer(ta).Keepalive; k != "1" {
		t.Errorf("wg shows the persistent keepalive %q, want 1", k)
	}
}
