package packet

import (
	"bytes"
	"net/netip"
	"testing"
)

// TestAppendDatagram: the headers are those that were asked for, and both checksums are
// right.
func TestAppendDatagram(t *testing.T) {
	for _, c := range []struct {
		from, to string
		headers  int
	}{
		{"10.0.0.1:51820", "192.0.2.7:9", ipv4Header + udpHeader},
		{"[2001:db8::1]:51820", "[2001:db8::2]:9", ipv6Header + udpHeader},
	} {
		for _, size := range []int{0, 1, 32, 33, 148, 1452, maxPacket - c.headers} {
			payload := bytes.Repeat([]byte{0xa5, 7, 0xff}, size)[:size]
			h := DatagramHeader{From: netip.MustParseAddrPort(c.from), To: netip.MustParseAddrPort(c.to), TOS: 0x8a, TTL: 64, DontFragment: true}
			p := AppendDatagram([]byte("before"), &h, payload)[len("before"):]
			if n, ok := Length(p); !ok || n != len(p) || n != c.headers+size {
				t.Fatalf("%s, %d bytes: length %d, %v, of %d", c.to, size, n, ok, len(p))
			}
			from, to, udp, ok := UDPPorts(p)
			if !udp || !ok || from != 51820 || to != 9 {
				t.Errorf("%s: ports %d and %d", c.to, from, to)
			}
			if Source(p) != h.From.Addr() || Destination(p) != h.To.Addr() || TTL(p) != 64 || ECN(p) != 2 || !DontFragment(p) {
				t.Errorf("%s: other headers than asked for: % x", c.to, p[:c.headers])
			}
			if p[0]>>4 == 4 && (p[1] != h.TOS || !valid(sum(p[:ipv4Header], 0))) || p[0]>>4 == 6 && (p[0]&0xf != 8 || p[1] != 0xa0) {
				t.Errorf("%s: traffic class or checksum: % x", c.to, p[:c.headers])
			}
			udpPart := p[c.headers-udpHeader:]
			if !bytes.Equal(UDPPayload(p), payload) || !valid(sum(udpPart, pseudoSum(p, protoUDP)+word(uint16(len(udpPart))))) {
				t.Errorf("%s, %d bytes: the payload or its checksum is wrong", c.to, size)
			}
		}
		h := DatagramHeader{From: netip.MustParseAddrPort(c.from), To: netip.MustParseAddrPort(c.to)}
		longest := maxPacket - c.headers
		if h.To.Addr().Is6() {
			longest = maxPacket - udpHeader
		}
		if p := AppendDatagram(nil, &h, make([]byte, longest+1)); len(p) != 0 {
			t.Errorf("%s: a datagram that is too long for IP has %d bytes", c.to, len(p))
		}
		if p := AppendDatagram(nil, &h, make([]byte, longest)); len(p) == 0 {
			t.Errorf("%s: the longest datagram is refused", c.to)
		}
	}
}

// TestAppendDatagramWithoutZeroChecksum: a UDP checksum of zero would mean that there is
// none, and is sent as 0xffff.
func TestAppendDatagramWithoutZeroChecksum(t *testing.T) {
	h := DatagramHeader{From: netip.MustParseAddrPort("10.0.0.1:1"), To: netip.MustParseAddrPort("10.0.0.2:2")}
	p := AppendDatagram(nil, &h, []byte{0, 0})
	s := [2]byte(p[ipv4Header+udpChecksum:])
	p = AppendDatagram(nil, &h, s[:]) // whose sum complements that of the rest
	if got := [2]byte(p[ipv4Header+udpChecksum:]); got != [2]byte{0xff, 0xff} {
		t.Errorf("checksum % x, want ff ff", got)
	}
}
