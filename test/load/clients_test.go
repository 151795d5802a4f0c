package load

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"wgd/test/lab"
)

// A probe is an IPv4 packet with a right checksum, from the inner address of its peer.
func TestProbe(t *testing.T) {
	from, to := netip.MustParseAddr(ClientInner(3<<8|7)), netip.MustParseAddr("10.99.0.1")
	b := probe(from, to)
	h, ok := parseInner(append(b, 0, 0, 0, 0)) // with padding
	if !ok || h != (innerHeader{from, to, unix.IPPROTO_UDP, lab.EchoPort, probeSize}) {
		t.Errorf("%+v, %t", h, ok)
	}
	sum := 0
	for i := 0; i < 20; i += 2 {
		sum += int(b[i])<<8 | int(b[i+1])
	}
	if sum%0xffff != 0 {
		t.Errorf("the sum of its header is %#x", sum)
	}
	if i, ok := clientOf(from); !ok || i != 3<<8|7 {
		t.Errorf("its peer is %d, %t", i, ok)
	}
	if _, ok := clientOf(to); ok {
		t.Error("the server is a peer")
	}
}

// Whatever is in a packet, what is taken of it lies inside.
func FuzzInner(f *testing.F) {
	f.Add(probe(netip.MustParseAddr("10.64.0.1"), netip.MustParseAddr("10.99.0.1")))
	f.Add([]byte{0x45, 0, 0, 200})
	f.Add([]byte("\x40\x00\x00\x10" + "00000000000000000000")) // a header of no length
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := parseInner(b); ok && (h.length > len(b) || h.length < 24 || !h.source.Is4()) {
			t.Errorf("%+v of %d bytes", h, len(b))
		}
	})
}

// A reading has the longest silence since the one before, also if it lasts.
func TestHearing(t *testing.T) {
	var h hearing
	base := Now() - 1000
	for _, at := range []int64{0, 10, 50, 60} {
		h.now(base - 1e12 + at)
	}
	if h.longest != (Silence{base - 1e12 + 10, base - 1e12 + 50}) || h.count != 4 {
		t.Errorf("%+v", h)
	}
	if s := h.take(); s != (Silence{base - 1e12 + 60, 0}) {
		t.Errorf("what lasts: %+v", s)
	}
	h.now(Now())
	if s := h.take(); s.From != base-1e12+60 || s.To == 0 {
		t.Errorf("what has ended: %+v", s)
	}
	if s := h.take(); s.To != 0 || Now()-s.From > 1e9 {
		t.Errorf("after that: %+v", s)
	}
}
