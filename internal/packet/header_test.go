package packet

import (
	"bytes"
	"net/netip"
	"testing"
)

// A47: a length beyond the data, a length below that of the header, a version
// other than 4 and 6.
func TestLength(t *testing.T) {
	v4 := flow{udp: true}.packet(0, fill(10))
	v6 := flow{udp: true, v6: true}.packet(0, fill(10))
	for _, c := range []struct {
		name string
		p    []byte
		n    int
		ok   bool
	}{
		{"IPv4", v4, 38, true},
		{"IPv6", v6, 58, true},
		{"IPv4 with padding", append(append([]byte(nil), v4...), 0, 0, 0), 38, true},
		{"IPv6 with padding", append(append([]byte(nil), v6...), 0, 0, 0), 58, true},
		{"IPv4 cut", v4[:37], 38, false},
		{"IPv6 cut", v6[:57], 58, false},
		{"nothing", nil, 0, false},
		{"less than a header", v4[:19], 0, false},
		{"less than an IPv6 header", v6[:39], 0, false},
		{"only zeros", make([]byte, 64), 0, false},
		{"version 5", change(v4, 0, 0x55), 0, false},
		{"header length under 20", change(v4, 0, 0x44), 0, false},
		{"header length over the data", change(v4, 0, 0x4f), 0, false},
		{"length under the header", change(v4, 3, 19), 19, false},
		{"length of the header alone", change(v4, 3, 20), 20, true},
		{"options, length under them", change(change(v4, 0, 0x46), 3, 23), 23, false},
		{"options, length of them", change(change(v4, 0, 0x46), 3, 24), 24, true},
		{"IPv6 without payload", change(change(v6, 4, 0), 5, 0), 40, true},
	} {
		n, ok := Length(c.p)
		if n != c.n || ok != c.ok {
			t.Errorf("%s: %d, %v; want %d, %v", c.name, n, ok, c.n, c.ok)
		}
	}
}

// change returns a copy of p in which one byte is replaced.
func change(p []byte, at int, b byte) []byte {
	q := append([]byte(nil), p...)
	q[at] = b
	return q
}

func TestAddresses(t *testing.T) {
	for _, f := range flows {
		p := f.packet(0, fill(3))
		from, to := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		if f.v6 {
			from, to = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
		}
		if Source(p) != from || Destination(p) != to {
			t.Errorf("%v: from %v to %v, want from %v to %v", f, Source(p), Destination(p), from, to)
		}
	}
}

func TestUDPPorts(t *testing.T) {
	v4 := flow{udp: true}.packet(0, fill(16))
	v6 := flow{udp: true, v6: true}.packet(0, fill(16))
	behind := func(headers ...byte) []byte { // UDP behind IPv6 extension headers
		p := append([]byte(nil), v6[:ipv6Header]...)
		p[6] = headers[0]
		for i := range headers {
			next := byte(protoUDP)
			if i+1 < len(headers) {
				next = headers[i+1]
			}
			p = append(p, next, 0, 0, 0, 0, 0, 0, 0)
		}
		return append(p, v6[ipv6Header:]...)
	}
	later := behind(protoFragment)
	later[ipv6Header+3] = 8
	for _, c := range []struct {
		name    string
		p       []byte
		udp, ok bool
	}{
		{"IPv4", v4, true, true},
		{"IPv6", v6, true, true},
		{"TCP", flow{}.packet(0, nil), false, false},
		{"first fragment, IPv4", change(v4, 6, 0x20), true, true},
		{"later fragment, IPv4", change(v4, 7, 1), true, false},
		{"behind options", behind(protoHopByHop, protoDestination, protoRouting), true, true},
		{"first fragment, IPv6", behind(protoFragment), true, true},
		{"later fragment, IPv6", later, true, false},
		{"cut before the ports", v4[:22], true, false},
		{"cut in the options", behind(protoHopByHop)[:44], false, false},
	} {
		from, to, udp, ok := UDPPorts(c.p)
		if udp != c.udp || ok != c.ok || ok && (from != 40000 || to != 443) {
			t.Errorf("%s: ports %d, %d, UDP: %v, ok: %v; want UDP: %v, ok: %v", c.name, from, to, udp, ok, c.udp, c.ok)
		}
		payload := UDPPayload(c.p)
		if c.ok != (payload != nil) || c.ok && !bytes.Equal(payload, fill(16)) {
			t.Errorf("%s: payload %x", c.name, payload)
		}
	}
}

// The functions that parse a packet do not panic, whatever it contains (A4).
func FuzzHeaders(f *testing.F) {
	for _, fl := range flows {
		f.Add(fl.packet(1, fill(20)))
	}
	f.Add([]byte{})
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, p []byte) {
		if n, ok := Length(p); ok && (n > len(p) || n < ipv4Header) {
			t.Fatalf("length %d of %d bytes", n, len(p))
		}
		if !IsIP(p) {
			return
		}
		Source(p)
		Destination(p)
		UDPPorts(p)
		UDPPayload(p)
		before := append([]byte(nil), p...)
		for outer := range byte(4) {
			ecn, _ := CombineECN(ECN(p), outer)
			SetECN(p, ecn)
		}
		var frame [MaxErrorFrame]byte
		for _, problem := range []Problem{Unreachable, TooBig} {
			n := PutError(frame[:], before, problem, 1280)
			if n != 0 && PutError(make([]byte, MaxErrorFrame), frame[VirtioHeaderSize:n], problem, 1280) != 0 {
				t.Fatal("PutError wrote an error about an ICMP error")
			}
		}
	})
}

func TestTTL(t *testing.T) {
	if a, b := TTL(change(flow{udp: true}.packet(0, nil), 8, 7)), TTL(change(flow{udp: true, v6: true}.packet(0, nil), 7, 9)); a != 7 || b != 9 {
		t.Errorf("TTL = %d for IPv4, %d for IPv6; want 7, 9", a, b)
	}
}

// The identification is found in the IPv4 header or in an IPv6 fragment header,
// also behind other extension headers.
func TestFragment(t *testing.T) {
	v4 := flow{udp: true}.packet(0, fill(20))
	v4[4], v4[5], v4[6], v4[7] = 0xab, 0xcd, 0x40, 0 // whole, with DF
	v6 := flow{udp: true, v6: true}.packet(0, fill(20))
	with := func(kind byte, header ...byte) []byte {
		p := append(append(bytes.Clone(v6[:40]), header...), v6[40:]...)
		p[6] = kind
		return p
	}
	fragment := []byte{17, 0, 0, 1, 1, 2, 3, 4}
	for _, c := range []struct {
		name string
		p    []byte
		id   uint32
		ok   bool
	}{
		{"IPv4, whole", v4, 0, false},
		{"IPv4, the first", change(v4, 6, 0x20), 0xabcd, true},
		{"IPv4, a later one", change(change(v4, 6, 0), 7, 1), 0xabcd, true},
		{"IPv6, whole", v6, 0, false},
		{"IPv6, the first", with(44, fragment...), 0x01020304, true},
		{"IPv6, behind options", with(0, append([]byte{44, 0, 1, 4, 0, 0, 0, 0}, fragment...)...), 0x01020304, true},
		{"IPv6, options alone", with(60, 17, 0, 1, 4, 0, 0, 0, 0), 0, false},
		{"IPv6, cut", with(44, fragment...)[:44], 0, false},
	} {
		if id, ok := Fragment(c.p); ok != c.ok || ok && id != c.id {
			t.Errorf("%s: %#x, %v; want %#x, %v", c.name, id, ok, c.id, c.ok)
		}
	}
}
