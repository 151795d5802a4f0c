// Package aead implements ChaCha20-Poly1305 (RFC 8439) for batches of packets.
//
// The packets of a batch are sealed and opened in place. Those of one key lie in
// one buffer; see Part for several keys. A batch is fast if many of its packets
// have the same length, as those that Linux returns at once usually have.
package aead

import (
	"crypto/cipher"
	"encoding/binary"
)

const (
	// KeySize is the length of a key in bytes.
	KeySize = 32
	// HeaderSize is the length of the header before the ciphertext: 8 bytes
	// that this package does not interpret, and the counter. The header is not
	// authenticated, except for the counter, which is the nonce.
	HeaderSize = 16
	// TagSize is the length of the tag after the ciphertext.
	TagSize = 16
	// MinSize is the length of a packet with an empty text.
	MinSize = HeaderSize + TagSize

	counterAt = 8 // offset in the header; 8 bytes, little-endian
	nonceAt   = 4 // offset of the 12 bytes that end with the counter
)

// A Packet is a transport message at buf[Off:Off+Len]: 16 bytes of header, the
// ciphertext or plaintext, 16 bytes of tag. If Len is 0, the packet was
// dropped.
type Packet struct{ Off, Len int32 }

// Counter returns the counter in the packet's header.
func (p Packet) Counter(buf []byte) uint64 {
	return binary.LittleEndian.Uint64(buf[p.Off+counterAt:])
}

// Discard zeroes everything after the packet's header and sets Len to 0.
func (p *Packet) Discard(buf []byte) {
	clear(p.in(buf)[min(HeaderSize, p.Len):])
	p.Len = 0
}

// in returns the bytes of the packet, with no capacity beyond its end. It panics
// if the packet is not within the buffer. A slice may reach up to the capacity,
// so that of the buffer is first limited to its length.
func (p Packet) in(buf []byte) []byte {
	buf = buf[:len(buf):len(buf)]
	return buf[p.Off : p.Off+p.Len : p.Off+p.Len]
}

// A Key is the key of one direction of a session. Call Set before the first use
// and Erase after the last; Seal and Open panic without a key. Set and Erase
// must not run concurrently with other methods. Seal and Open may run
// concurrently on different packets.
type Key struct {
	bytes [KeySize]byte
	one   cipher.AEAD // for single packets
}

// Set copies the key. The caller zeroes its own copy.
func (k *Key) Set(b *[KeySize]byte) {
	one, err := newCipher(b[:])
	if err != nil {
		panic("aead: " + err.Error()) // only Go's FIPS mode forbids the cipher
	}
	k.bytes, k.one = *b, one
}

// Erase zeroes the key (A35). The copy that x/crypto made cannot be zeroed: it
// stays in the heap until its memory is reused.
func (k *Key) Erase() {
	clear(k.bytes[:])
	k.one = nil
}

// Seal encrypts the packets in place: it writes the counter first+i to bytes 8
// to 15 of the header of packet i, replaces the plaintext by the ciphertext and
// writes the tag. It skips packets with Len 0, whose counters stay unused. Any
// other Len must be at least MinSize.
func (k *Key) Seal(buf []byte, packets []Packet, first uint64) {
	for i, p := range packets {
		if p.Len != 0 {
			binary.LittleEndian.PutUint64(p.in(buf)[counterAt:HeaderSize], first+uint64(i))
		}
	}
	k.process(&chosen, buf, packets, false)
}

// Open decrypts the packets in place, each with the counter in its header, and
// returns how many failed. It zeroes everything after the header of a packet
// that failed, and sets its Len to 0. It skips packets with Len 0 and does not
// count them; a packet shorter than MinSize fails.
func (k *Key) Open(buf []byte, packets []Packet) (failed int) {
	return k.process(&chosen, buf, packets, true)
}

// process seals or opens the packets, whose counters are in their headers: in
// groups if there may be enough packets for one, otherwise one by one.
func (k *Key) process(kern *kernel, buf []byte, packets []Packet, open bool) (failed int) {
	k.mustBeSet()
	if !kern.mayGroup(len(packets)) {
		return k.processEach(buf, packets, open)
	}
	parts := [1]Part{{k, buf, packets}}
	return processGroups(kern, parts[:], open)
}

func (k *Key) mustBeSet() {
	if k.one == nil {
		panic("aead: a Key was used before Set or after Erase")
	}
}

func (k *Key) processEach(buf []byte, packets []Packet, open bool) (failed int) {
	for i := range packets {
		failed += k.processOne(buf, &packets[i], open)
	}
	return failed
}

// processOne seals or opens one packet, whose counter is in its header. It uses
// x/crypto.
func (k *Key) processOne(buf []byte, p *Packet, open bool) (failed int) {
	switch {
	case p.Len == 0:
	case !open:
		k.sealOne(p.in(buf))
	case p.Len < MinSize || !k.openOne(p.in(buf)):
		p.Discard(buf)
		return 1
	}
	return 0
}

// sealOne and openOne use the header itself as the nonce; meanwhile the 4 bytes
// before the counter are zero. A nonce elsewhere would be allocated for each
// packet, because it is passed to an interface method.

func (k *Key) sealOne(msg []byte) {
	index := clearIndex(msg)
	body := msg[HeaderSize : len(msg)-TagSize]
	k.one.Seal(body[:0], msg[nonceAt:HeaderSize], body, nil)
	restoreIndex(msg, index)
}

func (k *Key) openOne(msg []byte) bool {
	index := clearIndex(msg)
	body := msg[HeaderSize:]
	_, err := k.one.Open(body[:0], msg[nonceAt:HeaderSize], body, nil)
	restoreIndex(msg, index)
	return err == nil
}

func clearIndex(msg []byte) (index uint32) {
	index = binary.LittleEndian.Uint32(msg[nonceAt:])
	binary.LittleEndian.PutUint32(msg[nonceAt:], 0)
	return index
}

func restoreIndex(msg []byte, index uint32) {
	binary.LittleEndian.PutUint32(msg[nonceAt:], index)
}
