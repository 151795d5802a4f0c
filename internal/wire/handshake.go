package wire

import "encoding/binary"

// An Initiation is the first message of a handshake (§5.4.2).
type Initiation struct {
	Sender    uint32
	Ephemeral [32]byte
	Static    [32 + TagSize]byte
	Timestamp [TAI64NSize + TagSize]byte
	MAC1      [MACSize]byte
	MAC2      [MACSize]byte
}

// A Response is the second message of a handshake (§5.4.3).
type Response struct {
	Sender    uint32
	Receiver  uint32
	Ephemeral [32]byte
	Empty     [TagSize]byte
	MAC1      [MACSize]byte
	MAC2      [MACSize]byte
}

// A CookieReply is the answer of a receiver under load to either (§5.4.7).
type CookieReply struct {
	Receiver uint32
	Nonce    [24]byte
	Cookie   [16 + TagSize]byte
}

// DecodeInitiation decodes msg, and returns false if msg is not an initiation.
func DecodeInitiation(msg []byte) (m Initiation, ok bool) {
	if t, ok := TypeOf(msg); !ok || t != TypeInitiation {
		return m, false
	}
	m.Sender = binary.LittleEndian.Uint32(msg[4:])
	rest := take(msg[8:], m.Ephemeral[:], m.Static[:], m.Timestamp[:], m.MAC1[:], m.MAC2[:])
	return m, len(rest) == 0
}

// AppendTo appends the InitiationSize bytes of m to b.
func (m *Initiation) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(TypeInitiation))
	b = binary.LittleEndian.AppendUint32(b, m.Sender)
	b = append(b, m.Ephemeral[:]...)
	b = append(b, m.Static[:]...)
	b = append(b, m.Timestamp[:]...)
	b = append(b, m.MAC1[:]...)
	return append(b, m.MAC2[:]...)
}

// DecodeResponse decodes msg, and returns false if msg is not a response.
func DecodeResponse(msg []byte) (m Response, ok bool) {
	if t, ok := TypeOf(msg); !ok || t != TypeResponse {
		return m, false
	}
	m.Sender = binary.LittleEndian.Uint32(msg[4:])
	m.Receiver = binary.LittleEndian.Uint32(msg[8:])
	rest := take(msg[12:], m.Ephemeral[:], m.Empty[:], m.MAC1[:], m.MAC2[:])
	return m, len(rest) == 0
}

// AppendTo appends the ResponseSize bytes of m to b.
func (m *Response) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(TypeResponse))
	b = binary.LittleEndian.AppendUint32(b, m.Sender)
	b = binary.LittleEndian.AppendUint32(b, m.Receiver)
	b = append(b, m.Ephemeral[:]...)
	b = append(b, m.Empty[:]...)
	b = append(b, m.MAC1[:]...)
	return append(b, m.MAC2[:]...)
}

// DecodeCookieReply decodes msg, and returns false if msg is not a cookie reply.
func DecodeCookieReply(msg []byte) (m CookieReply, ok bool) {
	if t, ok := TypeOf(msg); !ok || t != TypeCookieReply {
		return m, false
	}
	m.Receiver = binary.LittleEndian.Uint32(msg[4:])
	rest := take(msg[8:], m.Nonce[:], m.Cookie[:])
	return m, len(rest) == 0
}

// AppendTo appends the CookieReplySize bytes of m to b.
func (m *CookieReply) AppendTo(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(TypeCookieReply))
	b = binary.LittleEndian.AppendUint32(b, m.Receiver)
	b = append(b, m.Nonce[:]...)
	return append(b, m.Cookie[:]...)
}

// take copies b into the fields, one after the other, and returns the rest of b.
func take(b []byte, fields ...[]byte) []byte {
	for _, field := range fields {
		b = b[copy(field, b):]
	}
	return b
}

// SenderIndex returns the sender's index in a message that TypeOf has accepted
// as an initiation or a response.
func SenderIndex(msg []byte) uint32 { return binary.LittleEndian.Uint32(msg[4:8]) }

// ReceiverIndex returns the index of the initiation that a response answers. TypeOf
// has accepted the message as a response.
func ReceiverIndex(msg []byte) uint32 { return binary.LittleEndian.Uint32(msg[8:12]) }
