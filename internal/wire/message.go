// Package wire has the four messages as they are on the network (§5.4): exact
// lengths, little-endian fields (A3), and the timestamp of an initiation.
//
// A datagram is judged once, by TypeOf. Everything else takes what TypeOf let
// through.
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
	MinDataSize     = DataHeaderSize + TagSize // a keepalive; every data message has at least that
)

// MACSize is the length of mac1 and of mac2, which end an initiation and a
// response.
const MACSize = 16

// TypeOf is the type of a datagram, and whether it may be a message at all: a
// known type, three zero bytes, and exactly the length of that type (A1, A2).
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

// LooksLikeMessage reports whether a datagram of which b is the beginning may be a
// message, of anybody's: it has one of the types and the three zero bytes.
func LooksLikeMessage(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	word := binary.LittleEndian.Uint32(b)
	return uint32(TypeInitiation) <= word && word <= uint32(TypeData)
}

// String names the type for people.
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

// DataIndex is the receiver index of a data message.
func DataIndex(msg []byte) uint32 { return binary.LittleEndian.Uint32(msg[4:8]) }

// DataCounter is the counter of a data message.
func DataCounter(msg []byte) uint64 { return binary.LittleEndian.Uint64(msg[8:16]) }

// PutDataHeader writes the DataHeaderSize bytes before the ciphertext.
func PutDataHeader(b []byte, index uint32, counter uint64) {
	_ = b[DataHeaderSize-1]
	binary.LittleEndian.PutUint32(b, uint32(TypeData))
	binary.LittleEndian.PutUint32(b[4:], index)
	binary.LittleEndian.PutUint64(b[8:], counter)
}
