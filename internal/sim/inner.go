package sim

import (
	"encoding/binary"
	"net/netip"

	"wgd/internal/packet"
)

// innerPort is the source and destination port of inner packets.
const innerPort = 7

// Inner returns a UDP packet of the inner network as a frame read from an
// interface, with a virtio header.
func Inner(from, to netip.Addr, payload []byte, ecn byte) []byte {
	const udpHeader = 8
	var frame, udp []byte
	if to.Is4() {
		frame = make([]byte, packet.VirtioHeaderSize+20+udpHeader+len(payload))
		p := frame[packet.VirtioHeaderSize:]
		p[0], p[1] = 0x45, ecn
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		p[8], p[9] = 64, 17
		a, b := from.As4(), to.As4()
		copy(p[12:], a[:])
		copy(p[16:], b[:])
		binary.BigEndian.PutUint16(p[10:], ^onesSum(p[:20]))
		udp = p[20:]
	} else {
		frame = make([]byte, packet.VirtioHeaderSize+40+udpHeader+len(payload))
		p := frame[packet.VirtioHeaderSize:]
		p[0], p[1] = 0x60, ecn<<4
		binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
		p[6], p[7] = 17, 64
		a, b := from.As16(), to.As16()
		copy(p[8:], a[:])
		copy(p[24:], b[:])
		udp = p[40:]
	}
	binary.BigEndian.PutUint16(udp, innerPort)
	binary.BigEndian.PutUint16(udp[2:], innerPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	copy(udp[udpHeader:], payload)
	pseudo := append(from.AsSlice(), to.AsSlice()...)
	pseudo = append(pseudo, 0, 17, udp[4], udp[5])
	sum := ^onesSum(append(pseudo, udp...))
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
	return frame
}

// onesSum returns the one's complement sum of b (RFC 1071).
func onesSum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// A Packet is a packet that arrived through a tunnel.
type Packet struct {
	From, To netip.Addr
	Payload  string // of UDP; otherwise the whole packet
	UDP      bool
	ECN      byte
}

// parse parses a packet that a data plane has written to its interface.
func parse(p []byte) Packet {
	got := Packet{From: packet.Source(p), To: packet.Destination(p), ECN: packet.ECN(p), Payload: string(p)}
	at := 20
	if got.To.Is6() {
		at = 40
	}
	if from, _, udp, ok := packet.UDPPorts(p); udp && ok && from == innerPort && len(p) >= at+8 {
		got.UDP, got.Payload = true, string(p[at+8:])
	}
	return got
}
