package udp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Control messages describe a datagram, to the kernel and from it. Each consists of a
// length (a word), level and type, then data, padded to a word. Encoding and decoding are
// pure functions.

const wordSize = unix.SizeofPtr

// control is the contents of the control messages of one train.
type control struct {
	source netip.Addr // the local address; invalid if there is none
	index  uint32     // of the interface
	tos    byte       // TOS or traffic class
	stride int        // bytes of each datagram; 0: there is only one
	ttl    byte       // to send with; 0: the default
}

// parseControl reads the messages that it knows and skips others. A message with a
// wrong length, or one that is truncated, is ignored (B57).
func parseControl(oob []byte) (c control) {
	for len(oob) >= unix.SizeofCmsghdr {
		length := word(oob)
		if length < unix.SizeofCmsghdr || length > uint64(len(oob)) {
			return c
		}
		level := binary.NativeEndian.Uint32(oob[wordSize:])
		kind := binary.NativeEndian.Uint32(oob[wordSize+4:])
		c.take(level, kind, oob[unix.CmsgLen(0):max(int(length), unix.CmsgLen(0))])
		oob = oob[min(aligned(int(length)), len(oob)):]
	}
	return c
}

func (c *control) take(level, kind uint32, data []byte) {
	switch {
	case level == unix.SOL_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		c.index = binary.NativeEndian.Uint32(data)
		c.source = netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst: never a broadcast address
	case level == unix.SOL_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		c.source = netip.AddrFrom16([16]byte(data))
		c.index = binary.NativeEndian.Uint32(data[16:])
	case level == unix.SOL_IP && kind == unix.IP_TOS && len(data) >= 1:
		c.tos = data[0]
	case level == unix.SOL_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
		c.tos = byte(binary.NativeEndian.Uint32(data))
	case level == unix.SOL_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		if n := int32(binary.NativeEndian.Uint32(data)); n > 0 {
			c.stride = int(n)
		}
	}
	if c.source.IsMulticast() || c.source.IsUnspecified() {
		c.source, c.index = netip.Addr{}, 0 // not usable as a source
	}
}

// controlSize is the most that appendControl writes.
var controlSize = unix.CmsgSpace(unix.SizeofInet6Pktinfo) + 2*unix.CmsgSpace(4) + unix.CmsgSpace(2)

// appendControl appends the control messages of a train to send: the source address
// (unless invalid), TOS, TTL, and the length of its datagrams if the kernel is to segment
// it. The last one is not padded: the kernel needs no memory for control messages up to the
// length of an IPv6 source without padding.
func appendControl(b []byte, v4 bool, c control) []byte {
	last := 0 // the size of its data
	if c.source.IsValid() {
		b, last = appendSource(b, v4, c)
	}
	if c.tos != 0 {
		b, last = appendByte(b, v4, unix.IP_TOS, unix.IPV6_TCLASS, c.tos), 4
	}
	if c.ttl != 0 {
		b, last = appendByte(b, v4, unix.IP_TTL, unix.IPV6_HOPLIMIT, c.ttl), 4
	}
	if c.stride > 0 {
		var data []byte
		b, data = appendMessage(b, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(data, uint16(c.stride))
		last = len(data)
	}
	return b[:len(b)-(unix.CmsgSpace(last)-unix.CmsgLen(last))]
}

// appendByte appends a one-byte value, whose type depends on the family. The kernel
// expects an int.
func appendByte(b []byte, v4 bool, kind4, kind6 uint32, value byte) []byte {
	level, kind := uint32(unix.SOL_IPV6), kind6
	if v4 {
		level, kind = unix.SOL_IP, kind4
	}
	b, data := appendMessage(b, level, kind, 4)
	binary.NativeEndian.PutUint32(data, uint32(value))
	return b
}

func appendSource(b []byte, v4 bool, c control) (all []byte, size int) {
	var data []byte
	if v4 {
		b, data = appendMessage(b, unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		binary.NativeEndian.PutUint32(data, c.index)
		a := c.source.As4()
		copy(data[4:], a[:])
		return b, len(data)
	}
	b, data = appendMessage(b, unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	a := c.source.As16()
	copy(data, a[:])
	binary.NativeEndian.PutUint32(data[16:], c.index)
	return b, len(data)
}

// appendMessage appends a message with n zero bytes of data, and also returns those.
func appendMessage(b []byte, level, kind uint32, n int) (all, data []byte) {
	at := len(b)
	b = append(b, make([]byte, unix.CmsgSpace(n))...)
	if wordSize == 8 {
		binary.NativeEndian.PutUint64(b[at:], uint64(unix.CmsgLen(n)))
	} else {
		binary.NativeEndian.PutUint32(b[at:], uint32(unix.CmsgLen(n)))
	}
	binary.NativeEndian.PutUint32(b[at+wordSize:], level)
	binary.NativeEndian.PutUint32(b[at+wordSize+4:], kind)
	data = b[at+unix.CmsgLen(0):]
	return b, data[:n]
}

func word(b []byte) uint64 {
	if wordSize == 8 {
		return binary.NativeEndian.Uint64(b)
	}
	return uint64(binary.NativeEndian.Uint32(b))
}

func aligned(n int) int { return (n + wordSize - 1) &^ (wordSize - 1) }
