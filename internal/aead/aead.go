// Package aead is ChaCha20-Poly1305 (RFC 8439) over a batch of packets.
//
// The packets of a batch lie in one buffer and are sealed and opened where
// they lie. What a caller hands over should be as a batch comes from the kernel:
// many packets of equal length with consecutive counters. Nothing but the speed
// depends on that.
package aead

import (
	"crypto/cipher"
	"encoding/binary"
)

const (
	// KeySize is the length of a key in bytes.
	KeySize = 32
	// HeaderSize is what a packet has before its ciphertext: 8 bytes that are
	// none of this package's business, and the counter. It is not authenticated
	// by itself: the counter is the nonce.
	HeaderSize = 16
	// TagSize is what a packet has after its ciphertext.
	TagSize = 16
	// MinSize is the length of a packet without content.
	MinSize = HeaderSize + TagSize

	counterAt = 8 // in the header, 8 bytes little-endian
	nonceAt   = 4 // the 12 bytes that end with the counter
)

// Packet is a transport message at buf[Off:Off+Len]: 16 bytes of header,
// ciphertext or plaintext, 16 bytes of tag. Len 0: there is none (any more).
type Packet struct{ Off, Len int32 }

// Counter is the one in the packet's header.
func (p Packet) Counter(buf []byte) uint64 {
	return binary.LittleEndian.Uint64(buf[p.Off+counterAt:])
}

// Refuse zeroes everything after the packet's header and makes Len 0.
func (p *Packet) Refuse(buf []byte) {
	clear(p.in(buf)[min(HeaderSize, p.Len):])
	p.Len = 0
}

// in is the packet as a slice that nothing can be appended to.
func (p Packet) in(buf []byte) []byte {
	return buf[p.Off : p.Off+p.Len : p.Off+p.Len]
}

// Key is one direction of a session. Set comes before every use and Erase after
// the last; a Key without a key panics. Neither may run beside Seal or Open,
// which may run beside each other, on different packets.
type Key struct {
	bytes [KeySize]byte
	one   cipher.AEAD // for one packet at a time
}

// Set copies the key; the caller zeroes its own.
func (k *Key) Set(b *[KeySize]byte) {
	one, err := newCipher(b[:])
	if err != nil {
		panic("aead: " + err.Error()) // only a mode of the toolchain forbids the cipher
	}
	k.bytes, k.one = *b, one
}

// Erase zeroes the key (A35). The copy that x/crypto made of it is out of
// reach: it is dropped, and stays in the heap until its memory is used again.
func (k *Key) Erase() {
	clear(k.bytes[:])
	k.one = nil
}

// Seal encrypts the packets in place: it writes the counter first+i into the
// header of packet i (bytes 8 to 16; the others stay as they are), replaces the
// plaintext by the ciphertext and fills in the tag. Packets with Len 0 are
// passed over, and their counters with them; any other Len is at least MinSize.
func (k *Key) Seal(buf []byte, packets []Packet, first uint64) {
	for i, p := range packets {
		if p.Len != 0 {
			binary.LittleEndian.PutUint64(p.in(buf)[counterAt:HeaderSize], first+uint64(i))
		}
	}
	k.process(&chosen, buf, packets, false)
}

// Open decrypts the packets in place, each with the counter in its header, and
// returns how many failed. Of a packet that fails, everything after the header
// is zeroed and Len becomes 0. Packets with Len 0 are passed over and do not
// count; one shorter than MinSize fails.
func (k *Key) Open(buf []byte, packets []Packet) (failed int) {
	return k.process(&chosen, buf, packets, true)
}

// process seals the packets, whose counters are in their headers, or opens
// them: in groups, if there may be enough packets for one, else one by one.
func (k *Key) process(kern *kernel, buf []byte, packets []Packet, open bool) (failed int) {
	if k.one == nil {
		panic("aead: a Key was used before Set or after Erase")
	}
	if kern.run != nil && len(packets) >= kern.minFor(longText+MinSize) {
		return k.processGroups(kern, buf, packets, open)
	}
	for i := range packets {
		failed += k.processOne(buf, &packets[i], open)
	}
	return failed
}

// processOne is process for one packet, by x/crypto.
func (k *Key) processOne(buf []byte, p *Packet, open bool) (failed int) {
	switch {
	case p.Len == 0:
	case !open:
		k.sealOne(p.in(buf))
	case p.Len < MinSize || !k.openOne(p.in(buf)):
		p.Refuse(buf)
		return 1
	}
	return 0
}

// sealOne and openOne use the header itself as the nonce, with the 4 bytes
// before the counter zero for as long as that lasts. A nonce anywhere else
// would be allocated for each packet, since it goes through an interface.

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
