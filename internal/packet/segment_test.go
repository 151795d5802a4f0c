package packet

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

func TestVirtioHeader(t *testing.T) {
	h := VirtioHeader{Flags: 1, GSOType: 4, HeaderLen: 0x1234, GSOSize: 1380, ChecksumStart: 40, ChecksumOffset: 16}
	b := make([]byte, VirtioHeaderSize)
	h.Encode(b)
	var g VirtioHeader
	if !g.Decode(b) || g != h {
		t.Errorf("decoded %+v, want %+v", g, h)
	}
	if g.Decode(b[:9]) {
		t.Error("Decode accepts 9 bytes")
	}
}

func TestSegments(t *testing.T) {
	for _, f := range flows {
		for _, c := range []struct{ whole, size int }{
			{1, 1}, {5, 1}, {1380, 1380}, {1381, 1380}, {4000, 1380}, {1, 1380}, {64000, 1372}, {64000, 65000}, {0, 1380},
		} {
			payload := fill(c.whole)
			list := split(t, f.super(0xfffffff0, payload, c.size))
			var joined []byte
			for i, p := range list {
				if s := fault(p); s != "" {
					t.Fatalf("%v %+v, packet %d: %s", f, c, i, s)
				}
				want := f
				want.id += uint16(i)
				part := p[f.headers():]
				if whole := want.packet(0xfffffff0+uint32(len(joined)), part); !bytes.Equal(p, whole) {
					t.Fatalf("%v %+v, packet %d:\n%x\nwant\n%x", f, c, i, p[:f.headers()], whole[:f.headers()])
				}
				if i+1 < len(list) && len(part) != c.size {
					t.Fatalf("%v %+v: packet %d has %d bytes of payload, want %d", f, c, i, len(part), c.size)
				}
				joined = append(joined, part...)
			}
			if !bytes.Equal(joined, payload) {
				t.Fatalf("%v %+v: the payload differs", f, c)
			}
		}
	}
}

// Only the last segment has FIN and PSH, only the first has CWR.
func TestSegmentsFlags(t *testing.T) {
	const all = tcpACK | tcpFIN | tcpPSH | tcpCWR | tcpECE
	list := split(t, flow{flags: all}.super(1, fill(3000), 1000))
	for i, want := range []byte{tcpACK | tcpECE | tcpCWR, tcpACK | tcpECE, tcpACK | tcpECE | tcpFIN | tcpPSH} {
		if got := list[i][ipv4Header+13]; got != want {
			t.Errorf("packet %d: flags %02x, want %02x", i, got, want)
		}
	}
	if got := split(t, flow{flags: all}.super(1, fill(10), 1000))[0][ipv4Header+13]; got != all {
		t.Errorf("a single segment: flags %02x, want %02x", got, all)
	}
}

// A packet that is not a super-packet is copied unchanged, with its checksum
// completed if the virtio header says so. The frame itself does not change.
func TestSegmentsSingle(t *testing.T) {
	for _, f := range flows {
		whole := f.packet(5, fill(99))
		frame := append(make([]byte, VirtioHeaderSize), whole...)
		if list := split(t, frame); len(list) != 1 || !bytes.Equal(list[0], whole) {
			t.Errorf("%v: the packet was changed", f)
		}
		frame = f.super(5, fill(99), 0)
		frame[1] = GSONone
		before := bytes.Clone(frame)
		if list := split(t, frame); len(list) != 1 || !bytes.Equal(list[0], whole) {
			t.Errorf("%v: the checksum was not completed", f)
		}
		if !bytes.Equal(frame, before) {
			t.Errorf("%v: the frame was written to", f)
		}
	}
}

// A UDP checksum is never zero: that would mean that there is none.
func TestUDPChecksumZero(t *testing.T) {
	f := flow{udp: true}
	for v := range 0x10000 {
		p := f.packet(0, []byte{byte(v >> 8), byte(v)})
		if binary.BigEndian.Uint16(p[26:]) != 0xffff {
			continue
		}
		frame := f.super(0, p[28:], 0)
		frame[1] = GSONone
		if got := split(t, frame)[0]; !bytes.Equal(got, p) {
			t.Fatalf("checksum %x, want %x", got[26:28], p[26:28])
		}
		return
	}
	t.Fatal("no payload has the checksum 0xffff")
}

func TestSegmentsRejects(t *testing.T) {
	tcp, tcp6, udp := flow{flags: tcpACK}, flow{flags: tcpACK, v6: true}, flow{udp: true}
	type h = VirtioHeader
	for _, c := range []struct {
		name   string
		f      flow
		change func(*h)
	}{
		{"no segment size", tcp, func(v *h) { v.GSOSize = 0 }},
		{"UFO", udp, func(v *h) { v.GSOType = GSOUDP }},
		{"unknown kind", tcp, func(v *h) { v.GSOType = 9 }},
		{"ECN of UDP", udp, func(v *h) { v.GSOType = GSOUDPL4 | GSOECN }},
		{"TCPv6 over IPv4", tcp, func(v *h) { v.GSOType = GSOTCP6 }},
		{"TCPv4 over IPv6", tcp6, func(v *h) { v.GSOType = GSOTCP4 }},
		{"transport inside the IP header", tcp, func(v *h) { v.ChecksumStart = 19 }},
		{"transport inside the IPv6 header", tcp6, func(v *h) { v.ChecksumStart = 39 }},
		{"transport not behind the IPv4 header", tcp, func(v *h) { v.ChecksumStart = 24 }},
		{"transport behind the packet", tcp6, func(v *h) { v.ChecksumStart = 60000 }},
		{"checksum elsewhere", tcp, func(v *h) { v.ChecksumOffset = 6 }},
		{"checksum elsewhere, UDP", udp, func(v *h) { v.ChecksumOffset = 16 }},
		{"checksum complete", tcp, func(v *h) { v.Flags = 0 }},
		{"checksum behind the packet", tcp, func(v *h) { v.GSOType, v.ChecksumStart = GSONone, 65000 }},
		{"checksum cut", udp, func(v *h) { v.GSOType, v.ChecksumOffset = GSONone, 79 }},
	} {
		frame := c.f.super(1, fill(60), 20)
		var v h
		v.Decode(frame)
		c.change(&v)
		v.Encode(frame)
		var s Segments
		if s.Reset(frame) {
			t.Errorf("%s: accepted", c.name)
		}
	}
	var s Segments
	frame := tcp.super(1, fill(60), 20)
	if frame[VirtioHeaderSize+32] = 0x40; s.Reset(frame) {
		t.Error("a data offset below 20 was accepted")
	}
	if frame[VirtioHeaderSize+32] = 0xf0; !s.Reset(frame) {
		t.Error("a data offset of 60 was refused")
	}
	if s.Reset(frame[:VirtioHeaderSize+59]) {
		t.Error("a truncated TCP header was accepted")
	}
	if s.Reset(frame[:9]) {
		t.Error("a truncated virtio header was accepted")
	}
}

// Every segment has the options of the IPv4 header, and its checksum covers
// them.
func TestSegmentsWithIPOptions(t *testing.T) {
	f := flow{flags: tcpACK}
	frame := f.super(1, fill(3000), 1000)
	option := []byte{0x94, 4, 0x12, 0x34}
	at := VirtioHeaderSize + ipv4Header
	frame = slices.Insert(frame, at, option...)
	p := frame[VirtioHeaderSize:]
	p[0] = 0x46
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	var v VirtioHeader
	v.Decode(frame)
	v.ChecksumStart += uint16(len(option))
	v.Encode(frame)
	packets := split(t, frame)
	if len(packets) != 3 {
		t.Fatalf("%d segments, want 3", len(packets))
	}
	for i, p := range packets {
		header, transport := p[:ipv4Header+len(option)], p[ipv4Header+len(option):]
		if !bytes.Equal(header[ipv4Header:], option) || slowSum(header) != 0xffff {
			t.Errorf("segment %d: header %x", i, header)
		}
		if slowSum(slowPseudo(p, protoTCP, len(transport)), transport) != 0xffff {
			t.Errorf("segment %d: wrong TCP checksum", i)
		}
	}
}

// Whatever a frame contains, splitting it does not panic, ends, and does not
// change the frame. PutRun writes the same packets as Put and as splitByHand.
func FuzzSegments(f *testing.F) {
	for _, fl := range flows {
		f.Add(fl.super(1, fill(3000), 1000))
		f.Add(append(make([]byte, VirtioHeaderSize), fl.packet(1, fill(20))...))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var s Segments
		if len(frame) < VirtioHeaderSize || !IsIP(frame[VirtioHeaderSize:]) || !s.Reset(frame) {
			return
		}
		before := bytes.Clone(frame)
		list := split(t, frame)
		if len(list) == 0 || !bytes.Equal(frame, before) {
			t.Fatalf("%d packets, or the frame was changed", len(list))
		}
		if len(list) > 1000 {
			return // too slow
		}
		checkRuns(t, frame, list)
		if s.virtio.GSOType != GSONone {
			checkPackets(t, list, splitByHand(frame))
		}
	})
}

func BenchmarkSplit64K(b *testing.B) {
	frame := flow{flags: tcpACK, options: 12}.super(1, fill(61500), 1368)
	dst := make([]byte, 128<<10)
	var s Segments
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(frame)
		for n, at := s.Next(), 0; n > 0; n = s.Next() {
			count := s.Run()
			s.PutRun(dst[at:], n+32, count)
			at += count * (n + 32)
		}
	}
}

func BenchmarkJoin64K(b *testing.B) {
	frame := flow{flags: tcpACK, options: 12}.super(1, fill(61500), 1368)
	var buffers [][]byte
	for _, p := range split(b, frame) {
		buffers = append(buffers, append(make([]byte, VirtioHeaderSize), p...))
	}
	first := bytes.Clone(buffers[0])
	c := coalescer()
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		copy(buffers[0], first) // the Coalescer rewrote its headers
		for _, buf := range buffers {
			if !c.Continue(buf[VirtioHeaderSize:]) {
				c.Add(buf)
			}
		}
		c.Flush()
	}
}
