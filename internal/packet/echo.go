package packet

import (
	"encoding/binary"
	"net/netip"
)

// An Echo is an ICMP echo request that looks for the MTU of a path through a tunnel. The
// host at the other end of the tunnel answers it in any case: with an echo reply if To is
// its address; or else, because the packet must not be routed any further, with "time
// exceeded".
type Echo struct {
	From, To     netip.Addr // of one family
	ID, Sequence uint16
	Token        uint64 // tells the answer from those to the echo requests of others
}

// MaxEchoFrame is the longest frame that Echo.Put and Echo.PutReply write.
const MaxEchoFrame = VirtioHeaderSize + ipv6Header + echoSize

const (
	echoSize = icmpHeader + 8 // with the token
	echoTTL  = 1              // to be routed once would be too often

	echoRequest4, echoReply4, exceeded4 = 8, 0, 11
	echoRequest6, echoReply6, exceeded6 = 128, 129, 3
)

// Valid reports whether an echo request from one address to the other can be answered.
func (e *Echo) Valid() bool {
	return e.From.IsValid() && e.From.Is4() == e.To.Is4() && isHost(e.From) && isHost(e.To)
}

// Put writes a frame with the echo request to frame, which has at least MaxEchoFrame bytes,
// and returns its length.
func (e *Echo) Put(frame []byte) int {
	return e.put(frame, e.From, e.To, echoTTL, echoRequest4, echoRequest6)
}

// PutReply writes a frame with the echo reply likewise.
func (e *Echo) PutReply(frame []byte) int {
	return e.put(frame, e.To, e.From, 64, echoReply4, echoReply6)
}

func (e *Echo) put(frame []byte, from, to netip.Addr, ttl, kind4, kind6 byte) int {
	(&VirtioHeader{}).Encode(frame)
	p := frame[VirtioHeaderSize:MaxEchoFrame]
	clear(p)
	if from.Is4() {
		p = p[:ipv4Header+echoSize]
		p[0], p[6], p[8], p[9] = 0x45, dontFragment, ttl, protoICMP4
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		copy(p[12:], from.AsSlice())
		copy(p[16:], to.AsSlice())
		putIPv4Checksum(p[:ipv4Header])
		t := p[ipv4Header:]
		e.message(t, kind4)
		putSum(t[2:], ^fold(sum(t, 0)))
		return VirtioHeaderSize + len(p)
	}
	p[0], p[6], p[7] = 0x60, protoICMP6, ttl
	binary.BigEndian.PutUint16(p[4:], echoSize)
	copy(p[8:], from.AsSlice())
	copy(p[24:], to.AsSlice())
	t := p[ipv6Header:]
	e.message(t, kind6)
	putSum(t[2:], ^fold(sum(t, add64(pseudoSum(p, protoICMP6), word(echoSize)))))
	return VirtioHeaderSize + len(p)
}

func (e *Echo) message(t []byte, kind byte) {
	t[0] = kind
	binary.BigEndian.PutUint16(t[4:], e.ID)
	binary.BigEndian.PutUint16(t[6:], e.Sequence)
	binary.BigEndian.PutUint64(t[8:], e.Token)
}

// An EchoAnswer is the answer to an Echo.
type EchoAnswer struct {
	Sequence uint16
	Exceeded bool // "time exceeded", from a router that does not have the address To
}

// AnswerTo returns what p, a complete IP packet, answers to an echo request with this ID
// and token, and whether it is an answer.
func AnswerTo(p []byte, id uint16, token uint64) (a EchoAnswer, ok bool) {
	protocol, at, first := transport(p)
	kind := byte(echoReply4)
	quoted, exceeded := byte(echoRequest4), byte(exceeded4)
	if p[0]>>4 == 6 {
		kind, quoted, exceeded = echoReply6, echoRequest6, exceeded6
	}
	if !first || protocol != icmpOf(p) || at+echoSize > len(p) {
		return a, false
	}
	t := p[at:]
	switch {
	case t[0] == kind && t[1] == 0:
	case t[0] == exceeded && t[1] == 0 && IsIP(t[icmpHeader:]) && t[icmpHeader]>>4 == p[0]>>4:
		inner := t[icmpHeader:]
		protocol, at, first := transport(inner)
		if !first || protocol != icmpOf(inner) || at+echoSize > len(inner) || inner[at] != quoted {
			return a, false
		}
		a.Exceeded, t = true, inner[at:]
	default:
		return a, false
	}
	a.Sequence = binary.BigEndian.Uint16(t[6:])
	return a, binary.BigEndian.Uint16(t[4:]) == id && binary.BigEndian.Uint64(t[8:]) == token
}

func icmpOf(p []byte) byte {
	if p[0]>>4 == 6 {
		return protoICMP6
	}
	return protoICMP4
}

// IsSYN reports whether p begins a TCP connection, or accepts one.
func IsSYN(p []byte) bool {
	protocol, at, first := transport(p)
	return protocol == protoTCP && first && at+tcpHeader <= len(p) && p[at+13]&tcpSYN != 0
}
