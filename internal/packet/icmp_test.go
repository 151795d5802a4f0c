package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// A48: the content, the source and the destination of an ICMP error.
func TestPutError(t *testing.T) {
	for _, f := range flows {
		for _, size := range []int{0, 100, 600, 1400, 60000} {
			for _, problem := range []Problem{Unreachable, TooBig} {
				p := f.packet(1, fill(size))
				checkError(t, p, problem)
			}
		}
	}
}

func checkError(t *testing.T, p []byte, problem Problem) {
	t.Helper()
	var buf [MaxErrorFrame]byte
	for i := range buf {
		buf[i] = 0xee
	}
	n := PutError(buf[:], p, problem, 65475)
	if n == 0 || buf != [MaxErrorFrame]byte(append(append([]byte(nil), buf[:n]...), bytes.Repeat([]byte{0xee}, len(buf)-n)...)) {
		t.Fatalf("PutError returned %d, or wrote more than it returned", n)
	}
	if !bytes.Equal(buf[:VirtioHeaderSize], make([]byte, VirtioHeaderSize)) {
		t.Fatal("the virtio header is not empty")
	}
	e := buf[VirtioHeaderSize:n]
	// Linux accepts the error only from the unreachable destination.
	if Source(e) != Destination(p) || Destination(e) != Source(p) {
		t.Fatalf("error from %v to %v, want from %v to %v", Source(e), Destination(e), Destination(p), Source(p))
	}
	if length, ok := Length(e); !ok || length != len(e) {
		t.Fatal("wrong length")
	}
	at, limit, kind, pseudo := ipv4Header, 576, [2]byte{3, 1}, []byte(nil)
	mtu := uint32(0)
	if problem == TooBig {
		kind, mtu = [2]byte{3, 4}, 65475
	}
	if p[0]>>4 == 6 {
		at, limit, kind = ipv6Header, 1280, [2]byte{1, 3}
		if problem == TooBig {
			kind = [2]byte{2, 0}
		}
		pseudo = slowPseudo(e, protoICMP6, len(e)-at)
	} else if slowSum(e[:at]) != 0xffff {
		t.Fatal("wrong IPv4 checksum")
	}
	i := e[at:]
	if [2]byte(i) != kind || binary.BigEndian.Uint32(i[4:]) != mtu || slowSum(pseudo, i) != 0xffff {
		t.Fatalf("ICMP %x, checksum %04x", i[:8], slowSum(pseudo, i))
	}
	if len(e) > limit || !bytes.HasPrefix(p, i[8:]) || len(e) != min(limit, at+8+len(p)) {
		t.Fatalf("an error of %d bytes about a packet of %d, at most %d allowed", len(e), len(p), limit)
	}
}

// A48: no error is sent about multicast, broadcast, ICMP errors, and fragments
// other than the first.
func TestNoICMPErrorFor(t *testing.T) {
	v4, v6 := flow{udp: true}.packet(0, fill(8)), flow{udp: true, v6: true}.packet(0, fill(8))
	icmp4 := func(kind byte) []byte { return change(change(v4, 9, protoICMP4), 20, kind) }
	icmp6 := func(kind byte) []byte { return change(change(v6, 6, protoICMP6), 40, kind) }
	for _, c := range []struct {
		name string
		p    []byte
		may  bool
	}{
		{"plain", v4, true},
		{"plain, IPv6", v6, true},
		{"to multicast", change(v4, 16, 224), false},
		{"to multicast, IPv6", change(v6, 24, 0xff), false},
		{"to broadcast", append(append(append([]byte(nil), v4[:16]...), 255, 255, 255, 255), v4[20:]...), false},
		{"from multicast", change(v4, 12, 230), false},
		{"from nowhere", append(append(append([]byte(nil), v4[:12]...), 0, 0, 0, 0), v4[16:]...), false},
		{"from nowhere, IPv6", append(append(append([]byte(nil), v6[:8]...), make([]byte, 16)...), v6[24:]...), false},
		{"later fragment", change(v4, 7, 2), false},
		{"echo", icmp4(8), true},
		{"unreachable", icmp4(3), false},
		{"quench", icmp4(4), false},
		{"redirect", icmp4(5), false},
		{"time exceeded", icmp4(11), false},
		{"parameter problem", icmp4(12), false},
		{"echo, IPv6", icmp6(128), true},
		{"unreachable, IPv6", icmp6(1), false},
		{"too big, IPv6", icmp6(2), false},
		{"unknown error, IPv6", icmp6(127), false},
		{"redirect, IPv6", icmp6(137), false},
		{"ICMP without a type", icmp4(8)[:20], false},
		{"ICMP without a type, IPv6", icmp6(128)[:40], false},
	} {
		if n := PutError(make([]byte, MaxErrorFrame), c.p, Unreachable, 0); (n > 0) != c.may {
			t.Errorf("%s: an error of %d bytes, want one: %v", c.name, n, c.may)
		}
	}
}
