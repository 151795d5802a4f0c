package e2e

import (
	"fmt"
	"testing"

	"wgd/test/lab"
)

// Every MTU from the least that IPv4 has to the most that an interface has:
// all sizes around the MTU and its fragments, and a TCP stream each way. The
// outer packets over 1,500 bytes travel as fragments. // A45, A46, B48, B53
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

// at is a tunnel's settings with an MTU. IPv6 has none under 1,280.
func at(mtu int) lab.Settings { return lab.Settings{MTU: mtu} }

func inners(mtu int) []string {
	if mtu < 1280 {
		return []string{lab.InnerA4}
	}
	return []string{lab.InnerA4, lab.InnerA6}
}

// sweepAround sends small packets, and those just under and over what fits, and
// over what fits twice, as far as UDP goes.
func sweepAround(h *lab.Host, inner string, mtu int) {
	overhead := 28
	if addr(inner).Is6() {
		overhead = 48
	}
	// What no outer datagram carries has a test of its own.
	top := min(mtu, 65475) - overhead
	h.Sweep(lab.Sweep{Remote: addr(inner), From: 0, To: 64})
	h.Sweep(lab.Sweep{Remote: addr(inner), From: top - 40, To: top, Train: 4})
	if mtu < 65535 {
		h.Sweep(lab.Sweep{Remote: addr(inner), From: top + 1, To: top + 40, Train: 4})
		h.Sweep(lab.Sweep{Remote: addr(inner), From: 2*top - 40, To: 2*top + 40, Step: 3, Train: 4})
	}
}

// An inner packet that no UDP datagram carries is answered inside with
// packet-too-big, of the unreachable end's own address; after that the sender
// fragments and everything arrives. // A46
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
		got := b.TrySweep(lab.Sweep{Remote: addr(c.remote), From: c.payload, To: c.payload})
		if len(got.Lost) != 1 {
			t.Errorf("%d bytes to %s: %v, want it lost", c.payload, c.remote, got)
		}
		found := false
		for _, p := range b.ICMPErrors(wg) {
			found = found || p.Type == c.kind && p.Code == c.code && p.Src.Addr() == addr(c.remote)
		}
		if !found {
			t.Errorf("%d bytes to %s: no ICMP %d/%d from there, but %v", c.payload, c.remote, c.kind, c.code, b.ICMPErrors(wg))
		}
		// The echo's own answer meets the same limit once.
		b.TrySweep(lab.Sweep{Remote: addr(c.remote), From: c.payload, To: c.payload})
		b.Sweep(lab.Sweep{Remote: addr(c.remote), From: c.payload, To: c.payload + 2, Train: 1})
	}
	if n := dropped(t, tb, "too-big"); n != 2 {
		t.Errorf("%d packets count as too big, want one of each family", n)
	}
}

// A wider wire lets a wider tunnel through without fragments. // B48
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
			t.Fatalf("a fragment on a wire that is wide enough: %v", p)
		}
	}
}
