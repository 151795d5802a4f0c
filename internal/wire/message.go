// Package wire encodes and decodes the four messages (§5.4), with exact lengths
// and little-endian fields (A3), and the timestamp of an initiation.
//
// TypeOf validates a datagram once. The functions that read single fields need a
// message that TypeOf has accepted.
package wire

import "encoding/binary"

// Type is the first byte of a message.
type Type uint8

// The four types (A2).
const (
	TypeInitiation Type = iota + 1
	TypeResponse
	TypeCookieReply
	TypeData
)

// Lengths of messages in bytes (A1).
const (
	InitiationSize  = 148
	ResponseSize    = 92
	CookieReplySize = 64
	DataHeaderSize  = 16
	TagSize         = 16
	MinDataSize     = DataHeaderSize + TagSize // a keepalive, the shortest data message
)

// MACSize is the length of mac1 and of mac2, with which an initiation and a
// response end.
const MACSize = 16

// TypeOf returns the type of a datagram. It returns false unless the datagram
// has a known type, three zero bytes, and a length valid for that type (A1, A2).
func TypeOf(msg []byte) (Type, bool) {
	if len(msg) < MinDataSize {
		return 0, false
	}
	// The type and the three zero bytes after it are one little-endian word.
	switch word := binary.LittleEndian.Uint32(msg); {
	case word == uint32(TypeData):
		return TypeData, true
	case word == uint32(TypeInitiation) && len(msg) == InitiationSize:
		return TypeInitiation, true
	case word == uint32(TypeResponse) && len(msg) == ResponseSize:
		return TypeResponse, true
	case word == uint32(TypeCookieReply) && len(msg) == CookieReplySize:
		return TypeCookieReply, true
	}
	return 0, false
}

// LooksLikeMessage reports whether a datagram that begins with b may be a message
// of any WireGuard implementation: it has one of the types and three zero bytes.
func LooksLikeMessage(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	word := binary.LittleEndian.Uint32(b)
	return uint32(TypeInitiation) <= word && word <= uint32(TypeData)
}

// String returns the name of the type, for people.
func (t Type) String() string {
	switch t {
	case TypeInitiation:
		return "handshake initiation"
	case TypeResponse:
		return "handshake response"
	case TypeCookieReply:
		return "cookie reply"
	case TypeData:
		return "data"
	}
	return "unknown message"
}

// DataIndex returns the receiver index of a data message.
func DataIndex(msg []byte) uint32 { return binary.LittleEndian.Uint32(msg[4:8]) }

// DataCounter returns the counter of a data message.
func DataCounter(msg []byte) uint64 { return binary.LittleEndian.Uint64(msg[8:16]) }

// PutDataHeader writes the header of a data message: the first DataHeaderSize
// bytes of b.
func PutDataHeader(b []byte, index uint32, counter uint64) {
	_ = b[DataHeaderSize-1]
	binary.LittleEndian.PutUint32(b, uint32(TypeData))
	binary.LittleEndian.PutUint32(b[4:], index)
	binary.LittleEndian.PutUint64(b[8:], counter)
}
