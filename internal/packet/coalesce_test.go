package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

func coalescer() *Coalescer { return &Coalescer{Offloads: Offloads{TCP: true, UDP: true}} }

// B58: splitting and joining again is the identity, and so is the reverse.
func TestSplitAndJoin(t *testing.T) {
	for _, f := range flows {
		for _, c := range []struct{ whole, size int }{{2760, 1380}, {4000, 1380}, {61000, 1372}, {300, 20}} {
			frame := f.super(0xffffff00, fill(c.whole), c.size)
			packets := split(t, frame)
			frames := join(coalescer(), packets)
			if len(frames) != 1 {
				t.Fatalf("%v %+v: %d frames, want 1", f, c, len(frames))
			}
			// Except for the hint, which was wrong in the original.
			binary.LittleEndian.PutUint16(frame[2:], uint16(f.headers()))
			if !bytes.Equal(frames[0], frame) {
				t.Fatalf("%v %+v:\n%x\nwant\n%x", f, c, frames[0][:80], frame[:80])
			}
		}
	}
}

// The flags of the first and the last segment return to where they were.
func TestSplitAndJoinFlags(t *testing.T) {
	for _, flags := range []byte{tcpPSH, tcpFIN, tcpFIN | tcpPSH, tcpCWR, tcpCWR | tcpECE | tcpPSH, tcpECE} {
		f := flow{flags: tcpACK | flags}
		packets := split(t, f.super(1, fill(3000), 1000))
		frames := join(coalescer(), packets)
		if len(frames) != 1 || !equalAll(split(t, frames[0]), packets) {
			t.Errorf("flags %02x: %d frames, want 1 with the same packets", flags, len(frames))
		}
	}
}

func equalAll(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// B58: two successive packets that differ in one thing are not joined.
func TestNotJoined(t *testing.T) {
	type edit func(p []byte)
	set := func(at int, b byte) edit { return func(p []byte) { p[at] = b; fixChecksums(p) } }
	flip := func(at int, b byte) edit { return func(p []byte) { p[at] ^= b; fixChecksums(p) } }
	damage := func(at int) edit { return func(p []byte) { p[at] ^= 0x80 } } // without new checksums
	tcp, tcp6, udp, udp6 := flow{flags: tcpACK, options: 12}, flow{flags: tcpACK, v6: true}, flow{udp: true}, flow{udp: true, v6: true}
	free := flow{flags: tcpACK, free: true}
	for _, c := range []struct {
		name   string
		f      flow
		second edit
	}{
		{"TOS", tcp, set(1, 0x20)},
		{"ECN", tcp, set(1, CE)},
		{"TTL", tcp, set(8, 9)},
		{"fragmenting allowed", tcp, set(6, 0)},
		{"reserved bit", tcp, set(6, 0xc0)},
		{"fragment", udp, set(6, 0x20)},
		{"identification", free, set(5, 9)},
		{"source", tcp, set(15, 9)},
		{"destination", tcp, set(19, 9)},
		{"source port", tcp, flip(21, 1)},
		{"destination port", tcp, flip(23, 1)},
		{"sequence", tcp, flip(27, 1)},
		{"acknowledgement", tcp, flip(31, 1)},
		{"reserved bits of TCP", tcp, flip(32, 2)},
		{"data offset", tcp, set(32, 0x90)},
		{"window", tcp, flip(35, 1)},
		{"urgent pointer", tcp, flip(39, 1)},
		{"options", tcp, set(44, 0)},
		{"SYN", tcp, flip(33, 2)},
		{"RST", tcp, flip(33, 4)},
		{"URG", tcp, flip(33, 0x20)},
		{"ECE", tcp, flip(33, tcpECE)},
		{"CWR", tcp, flip(33, tcpCWR)},
		{"no ACK", tcp, flip(33, tcpACK)},
		{"IPv4 checksum", tcp, damage(10)},
		{"TCP checksum", tcp, damage(36)},
		{"payload", tcp, damage(60)},
		{"traffic class", tcp6, flip(0, 1)},
		{"ECN, IPv6", tcp6, flip(1, 0x10)},
		{"flow label", tcp6, flip(3, 1)},
		{"hop limit", tcp6, flip(7, 1)},
		{"source, IPv6", tcp6, flip(23, 1)},
		{"destination, IPv6", tcp6, flip(39, 1)},
		{"payload, IPv6", tcp6, damage(70)},
		{"UDP port", udp, flip(21, 1)},
		{"UDP checksum", udp, damage(26)},
		{"UDP without checksum", udp, func(p []byte) { p[26], p[27] = 0, 0 }},
		{"UDP length", udp, func(p []byte) { p[25]--; fixChecksums(p) }},
		{"UDP payload, IPv6", udp6, damage(50)},
		{"other protocol", udp, func(p []byte) { p[9] = 136; p[10], p[11] = 0, 0; putIPv4Checksum(p[:20]) }},
	} {
		for _, swap := range []bool{false, true} {
			first := c.f.packet(1000, fill(100))
			f := c.f
			f.id++
			second := f.packet(1100, fill(100))
			if swap { // the one that differs comes first
				c.second(first)
			} else {
				c.second(second)
			}
			name := fmt.Sprintf("%s (first: %v)", c.name, swap)
			if swap && c.name == "CWR" {
				continue // the first segment may have it
			}
			frames := join(coalescer(), [][]byte{bytes.Clone(first), bytes.Clone(second)})
			if len(frames) != 2 {
				t.Errorf("%s: %d frames, want 2", name, len(frames))
				continue
			}
			// Packets that are not joined do not change.
			empty := make([]byte, VirtioHeaderSize)
			if !bytes.Equal(frames[0], append(empty, first...)) || !bytes.Equal(frames[1], append(empty, second...)) {
				t.Errorf("%s: a packet was changed", name)
			}
		}
	}
}

// The pairs of TestNotJoined, unchanged, are joined.
func TestJoined(t *testing.T) {
	for _, f := range flows {
		first := f.packet(1000, fill(100))
		f.id++
		second := f.packet(1100, fill(100))
		if n := len(join(coalescer(), [][]byte{first, second})); n != 1 {
			t.Errorf("%v: %d frames, want 1", f, n)
		}
	}
	// With DF, the identification has no meaning.
	f := flow{flags: tcpACK}
	if n := len(join(coalescer(), [][]byte{f.packet(0, fill(10)), f.packet(10, fill(10)), f.packet(20, fill(10))})); n != 1 {
		t.Errorf("identification 0: %d frames, want 1", n)
	}
}

// Only the last segment may be short or have PSH or FIN, none is longer than
// the first, and pure acknowledgements are not joined.
func TestSuperPacketEnd(t *testing.T) {
	f := flow{flags: tcpACK}
	push := flow{flags: tcpACK | tcpPSH}
	fin := flow{flags: tcpACK | tcpFIN}
	for _, c := range []struct {
		name    string
		packets [][]byte
		frames  []int // packets in each
	}{
		{"short", [][]byte{f.packet(0, fill(9)), f.packet(9, fill(8)), f.packet(17, fill(8))}, []int{2, 1}},
		{"longer", [][]byte{f.packet(0, fill(9)), f.packet(9, fill(10)), f.packet(19, fill(10))}, []int{1, 2}},
		{"PSH", [][]byte{f.packet(0, fill(9)), push.packet(9, fill(9)), f.packet(18, fill(9))}, []int{2, 1}},
		{"PSH first", [][]byte{push.packet(0, fill(9)), f.packet(9, fill(9))}, []int{1, 1}},
		{"FIN", [][]byte{f.packet(0, fill(9)), fin.packet(9, fill(9)), f.packet(18, fill(9))}, []int{2, 1}},
		{"FIN first", [][]byte{fin.packet(0, fill(9)), f.packet(9, fill(9))}, []int{1, 1}},
		{"pure ACKs", [][]byte{f.packet(0, nil), f.packet(0, nil), f.packet(0, nil)}, []int{1, 1, 1}},
		{"ACK after data", [][]byte{f.packet(0, fill(9)), f.packet(9, nil), f.packet(9, fill(9))}, []int{1, 1, 1}},
		{"empty UDP", [][]byte{flow{udp: true}.packet(0, nil), flow{udp: true}.packet(0, nil)}, []int{1, 1}},
	} {
		want := make([][]byte, len(c.packets))
		for i := range want {
			want[i] = bytes.Clone(c.packets[i])
		}
		frames := join(coalescer(), c.packets)
		var got [][]byte
		for i, frame := range frames {
			list := split(t, frame)
			if i < len(c.frames) && len(list) != c.frames[i] {
				t.Errorf("%s: frame %d has %d packets, want %d", c.name, i, len(list), c.frames[i])
			}
			got = append(got, list...)
		}
		if len(frames) != len(c.frames) {
			t.Errorf("%s: %d frames, want %d", c.name, len(frames), len(c.frames))
		}
		if !equalButID(got, want) {
			t.Errorf("%s: the packets differ from those that were joined", c.name)
		}
	}
}

// A super-packet is no longer than an IP packet may be, and has no more
// segments than the kernel splits.
func TestSuperPacketLimits(t *testing.T) {
	for _, c := range []struct{ count, size, first int }{
		{60, 1380, 47}, {200, 100, maxTCPSegments}, {3, 40000, 1},
	} {
		f := flow{flags: tcpACK}
		var packets [][]byte
		for i := range c.count {
			f.id = uint16(i)
			packets = append(packets, f.packet(uint32(i*c.size), fill(c.size)))
		}
		frames := join(coalescer(), packets)
		if n := len(split(t, frames[0])); n != c.first {
			t.Errorf("%+v: the first super-packet has %d segments", c, n)
		}
		for _, frame := range frames {
			if len(frame) > VirtioHeaderSize+maxPacket {
				t.Errorf("%+v: a frame of %d bytes", c, len(frame))
			}
		}
	}
	f := flow{udp: true}
	var packets [][]byte
	for range 100 {
		packets = append(packets, f.packet(0, fill(20)))
	}
	if n := len(split(t, join(coalescer(), packets)[0])); n != maxUDPSegments {
		t.Errorf("UDP: the first super-packet has %d segments, want %d", n, maxUDPSegments)
	}
}

// Packets are joined only for an interface that accepts the result.
func TestOffloads(t *testing.T) {
	for _, f := range flows {
		for _, c := range []Offloads{{}, {TCP: true}, {UDP: true}} {
			first := f.packet(1000, fill(100))
			g := f
			g.id++
			second := g.packet(1100, fill(100))
			want := 2
			if f.udp && c.UDP || !f.udp && c.TCP {
				want = 1
			}
			if n := len(join(&Coalescer{Offloads: c}, [][]byte{first, second})); n != want {
				t.Errorf("%v with %+v: %d frames, want %d", f, c, n, want)
			}
		}
	}
}

// equalButID compares packets, except for the identification (and with it the
// checksum) of IPv4 packets with DF.
func equalButID(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := bytes.Clone(a[i]), bytes.Clone(b[i])
		if bytes.Equal(x, y) {
			continue
		}
		for _, p := range [][]byte{x, y} {
			if len(p) >= ipv4Header && p[0] == 0x45 && p[6]&0x40 != 0 && slowSum(p[:20]) == 0xffff {
				clear(p[4:6])
				clear(p[10:12])
			}
		}
		if !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}
