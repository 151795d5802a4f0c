package e2e

import (
	"fmt"
	"testing"
	"time"

	"wgd/test/lab"
)

// The tunnel works with MTUs from the minimum of IPv4 to the maximum of an interface:
// datagrams of all sizes around the MTU, and around two fragments, and TCP streams in
// both directions. Outer packets over 1,500 bytes are sent as fragments.
// A45, A46, B48, B53
func TestMTU(t *testing.T) {
	for _, mtu := range []int{576, 1280, 1420, 9000, 65535} {
		t.Run(fmt.Sprint(mtu), func(t *testing.T) {
			t.Parallel()
			a, b := lab.Pair(t)
			lab.Connect(a, b, "192.0.2.1:1234", at(mtu), at(mtu))
			a.Echo()
			b.Echo()
			a.Sink(9)
			b.Sink(9)
			contains(t, a.Must("wg-ifconfig wg0"), fmt.Sprintf("mtu %d\n", mtu))
			for _, inner := range inners(mtu) {
				sweepAround(b, inner, mtu)
			}
			for _, inner := range []string{lab.InnerA4 + ":9", "[" + lab.InnerA6 + "]:9"}[:len(inners(mtu))] {
				b.Stream(lab.Stream{Remote: addrPort(inner), Bytes: 8 << 20})
			}
			a.Stream(lab.Stream{Remote: addrPort(lab.InnerB4 + ":9"), Bytes: 8 << 20})
		})
	}
}

// at returns settings with an MTU.
func at(mtu int) lab.Settings { return lab.Settings{MTU: mtu} }

// inners returns the inner addresses of A. An MTU under 1,280 is too small for IPv6.
func inners(mtu int) []string {
	if mtu < 1280 {
		return []string{lab.InnerA4}
	}
	return []string{lab.InnerA4, lab.InnerA6}
}

// sweepAround sends small packets, those around the size that fits into the MTU, and
// those around twice that size, as far as UDP allows.
func sweepAround(h *lab.Host, inner string, mtu int) {
	overhead := 28
	if addr(inner).Is6() {
		overhead = 48
	}
	// Packets that do not fit into an outer datagram have their own test.
	top := min(mtu, 65475) - overhead
	h.Sweep(lab.Sweep{Remote: addr(inner), From: 0, To: 64})
	h.Sweep(lab.Sweep{Remote: addr(inner), From: top - 40, To: top, Train: 4})
	if mtu < 65535 {
		h.Sweep(lab.Sweep{Remote: addr(inner), From: top + 1, To: top + 40, Train: 4})
		h.Sweep(lab.Sweep{Remote: addr(inner), From: 2*top - 40, To: 2*top + 40, Step: 3, Train: 4})
	}
}

// An inner packet that does not fit into a UDP datagram is answered with an inner
// packet-too-big from its destination. After that the sender fragments, and all
// arrives. // A46
func TestPacketTooBig(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	_, tb := lab.Connect(a, b, "192.0.2.1:1234", at(65535), at(65535))
	a.Echo()
	b.Ping(lab.InnerA4, 1)
	wg := b.Watch("wg0")
	for _, c := range []struct {
		remote  string
		payload int
		kind    byte
		code    byte
	}{
		{lab.InnerA4, 65475 - 28 + 1, 3, 4},
		{lab.InnerA6, 65475 - 48 + 1, 2, 0},
	} {
		got := b.TrySweep(lab.Sweep{Remote: addr(c.remote), From: c.payload, To: c.payload, Wait: 2 * time.Second})
		if len(got.Lost) != 1 {
			t.Errorf("%d bytes to %s: %v, want it lost", c.payload, c.remote, got)
		}
		found := false
		for _, p := range b.ICMPErrors(wg) {
			found = found || p.Type == c.kind && p.Code == c.code && p.Src.Addr() == addr(c.remote)
		}
		if !found {
			t.Errorf("%d bytes to %s: ICMP errors %[5]v, want %[3]d/%[4]d from there", c.payload, c.remote, c.kind, c.code, b.ICMPErrors(wg))
		}
		// The answer of the echo exceeds the limit once as well.
		b.TrySweep(lab.Sweep{Remote: addr(c.remote), From: c.payload, To: c.payload, Wait: 2 * time.Second})
		b.Sweep(lab.Sweep{Remote: addr(c.remote), From: c.payload, To: c.payload + 2, Train: 1})
	}
	if n := dropped(t, tb, "too-big"); n != 2 {
		t.Errorf("%d packets count as too big, want one of each family", n)
	}
}

// On a link with a larger MTU, a tunnel with a larger MTU needs no fragments. // B48
func TestJumboWire(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	a.Must("ip link set eth0 mtu 9000")
	b.Must("ip link set eth0 mtu 9000")
	lab.Connect(a, b, "192.0.2.1:1234", at(8920), at(8920))
	wire := a.Watch("eth0")
	a.Sink(9)
	b.Stream(lab.Stream{Remote: addrPort(lab.InnerA4 + ":9"), Bytes: 32 << 20})
	for _, p := range some(t, a.Watched(wire)) {
		if p.Fragment {
			t.Fatalf("a fragment on a link whose MTU is large enough: %v", p)
		}
	}
}
