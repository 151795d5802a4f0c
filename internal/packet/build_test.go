package packet

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// A flow describes packets that the tests build. Other header fields are the
// same in all packets.
type flow struct {
	v6      bool
	udp     bool
	options int // bytes of TCP options
	ecn     byte
	flags   byte // TCP
	id      uint16
	free    bool // IPv4 without DF
}

func (f flow) String() string {
	s := "TCP"
	if f.udp {
		s = "UDP"
	}
	if f.v6 {
		return s + " over IPv6"
	}
	return s + " over IPv4"
}

var flows = []flow{
	{flags: tcpACK}, {flags: tcpACK, v6: true, options: 12}, {flags: tcpACK, options: 12, free: true, id: 0xfffe},
	{udp: true}, {udp: true, v6: true}, {udp: true, free: true, ecn: ECT0}, {flags: tcpACK | tcpECE, ecn: CE, v6: true},
}

func (f flow) at() int {
	if f.v6 {
		return ipv6Header
	}
	return ipv4Header
}

func (f flow) headers() int {
	if f.udp {
		return f.at() + udpHeader
	}
	return f.at() + tcpHeader + f.options
}

// packet returns a packet of the flow with complete checksums.
func (f flow) packet(seq uint32, payload []byte) []byte {
	p := make([]byte, f.headers()+len(payload))
	protocol := byte(protoTCP)
	if f.udp {
		protocol = protoUDP
	}
	if f.v6 {
		binary.BigEndian.PutUint32(p, 0x60012345)
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-ipv6Header))
		p[6], p[7] = protocol, 61
		copy(p[8:], netip.MustParseAddr("fd00::1").AsSlice())
		copy(p[24:], netip.MustParseAddr("fd00::2").AsSlice())
	} else {
		p[0] = 0x45
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[4:], f.id)
		p[6] = 0x40
		if f.free {
			p[6] = 0
		}
		p[8], p[9] = 61, protocol
		copy(p[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	}
	SetECN(p, f.ecn)
	t := p[f.at():]
	binary.BigEndian.PutUint16(t, 40000)
	binary.BigEndian.PutUint16(t[2:], 443)
	if f.udp {
		binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
	} else {
		binary.BigEndian.PutUint32(t[4:], seq)
		binary.BigEndian.PutUint32(t[8:], 77777)
		t[12], t[13] = byte((tcpHeader+f.options)/4)<<4, f.flags
		binary.BigEndian.PutUint16(t[14:], 501)
		for i := range f.options {
			t[tcpHeader+i] = 1 // NOP
		}
	}
	copy(p[f.headers():], payload)
	fixChecksums(p)
	return p
}

// super returns a frame as the kernel would: a super-packet with the whole
// payload and an incomplete checksum.
func (f flow) super(seq uint32, payload []byte, size int) []byte {
	p := f.packet(seq, payload)
	h := VirtioHeader{Flags: NeedsChecksum, GSOSize: uint16(size), ChecksumStart: uint16(f.at()), ChecksumOffset: tcpChecksum}
	h.HeaderLen = 3 // a wrong hint
	protocol := byte(protoTCP)
	switch {
	case f.udp:
		h.GSOType, h.ChecksumOffset, protocol = GSOUDPL4, udpChecksum, protoUDP
	case f.v6:
		h.GSOType = GSOTCP6
	default:
		h.GSOType = GSOTCP4
	}
	if f.flags&tcpCWR != 0 {
		h.GSOType |= GSOECN
	}
	t := p[f.at():]
	putSum(t[h.ChecksumOffset:], fold(pseudoSum(p, protocol)+word(uint16(len(t)))))
	return append(newFrame(&h), p...)
}

func newFrame(h *VirtioHeader) []byte {
	buf := make([]byte, VirtioHeaderSize)
	h.Encode(buf)
	return buf
}

// fixChecksums sets the checksums of a packet without IP options. It adds one
// 16-bit word at a time, as in RFC 1071, unlike this package.
func fixChecksums(p []byte) {
	at, protocol, field := layout(p)
	if p[0]>>4 == 4 {
		p[10], p[11] = 0, 0
		binary.BigEndian.PutUint16(p[10:], ^slowSum(p[:at]))
	}
	t := p[at:]
	t[field], t[field+1] = 0, 0
	s := ^slowSum(slowPseudo(p, protocol, len(t)), t)
	if s == 0 && protocol == protoUDP {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(t[field:], s)
}

func layout(p []byte) (at int, protocol byte, field int) {
	at, protocol, field = ipv4Header, p[9], tcpChecksum
	if p[0]>>4 == 6 {
		at, protocol = ipv6Header, p[6]
	}
	if protocol == protoUDP {
		field = udpChecksum
	}
	return at, protocol, field
}

func slowPseudo(p []byte, protocol byte, length int) []byte {
	addresses := p[12:20]
	if p[0]>>4 == 6 {
		addresses = p[8:40]
	}
	return append(append([]byte(nil), addresses...), 0, protocol, byte(length>>8), byte(length))
}

func slowSum(parts ...[]byte) uint16 {
	var s uint32
	for _, b := range parts {
		for i := range b {
			v := uint32(b[i])
			if i%2 == 0 {
				v <<= 8
			}
			if s += v; s > 0xffff {
				s -= 0xffff
			}
		}
	}
	return uint16(s)
}

// fault returns what is wrong with the lengths and checksums of p, or "".
func fault(p []byte) string {
	if n, ok := Length(p); !ok || n != len(p) {
		return "wrong IP length"
	}
	at, protocol, _ := layout(p)
	if p[0]>>4 == 4 && slowSum(p[:at]) != 0xffff {
		return "wrong IPv4 checksum"
	}
	t := p[at:]
	if slowSum(slowPseudo(p, protocol, len(t)), t) != 0xffff {
		return "wrong transport checksum"
	}
	if protocol == protoUDP && int(binary.BigEndian.Uint16(t[4:])) != len(t) {
		return "wrong UDP length"
	}
	return ""
}

// split returns all packets of a frame.
func split(t testing.TB, frame []byte) (list [][]byte) {
	t.Helper()
	var s Segments
	if !s.Reset(frame) {
		t.Fatalf("Reset refuses the frame %x", frame[:min(len(frame), 80)])
	}
	count := s.Remaining()
	last := s.Last()
	for n := s.Next(); n > 0; n = s.Next() {
		if s.Last() != last {
			t.Fatalf("Last returned %d first, then %d", last, s.Last())
		}
		if s.Remaining() != count-len(list) {
			t.Fatalf("Remaining = %d after %d of %d packets", s.Remaining(), len(list), count)
		}
		p := make([]byte, n)
		s.Put(p)
		list = append(list, p)
	}
	if count != len(list) {
		t.Fatalf("Remaining = %d before the first of %d packets", count, len(list))
	}
	if got := len(list[count-1]); got != last {
		t.Fatalf("Last = %d, but the last packet has %d bytes", last, got)
	}
	return list
}

// join adds packets to a Coalescer and returns what it would write, each write
// as one frame.
func join(c *Coalescer, packets [][]byte) (frames [][]byte) {
	for _, p := range packets {
		frame := append(newFrame(&VirtioHeader{}), p...)
		if !c.Continue(frame[VirtioHeaderSize:]) {
			frames = appendFrame(frames, c.Add(frame))
		}
	}
	return appendFrame(frames, c.Flush())
}

// joinByAdd is join without Continue.
func joinByAdd(c *Coalescer, packets [][]byte) (frames [][]byte) {
	for _, p := range packets {
		frames = appendFrame(frames, c.Add(append(newFrame(&VirtioHeader{}), p...)))
	}
	return appendFrame(frames, c.Flush())
}

func appendFrame(frames, pieces [][]byte) [][]byte {
	if pieces == nil {
		return frames
	}
	return append(frames, bytes.Join(pieces, nil))
}

func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}
