package x25519

import (
	"encoding/binary"
	"math/bits"
)

// The following functions convert between bytes and the rows of a group. They
// have no branch and no address that depends on their secrets.

// setScalar clamps a scalar and writes the swaps of its ladder.
func (g *group) setScalar(lane int, b *[Size]byte) {
	var e [4]uint64
	load(&e, b)
	e[0] &^= 7
	e[3] = e[3]&^(1<<63) | 1<<62
	// Bit t of e ^ e>>1 tells whether bits t and t+1 differ. Bit 255 is 0, so
	// the word below begins with that of the first step after one shift.
	for i := range e {
		differ := e[i] ^ e[i]>>1
		before := uint64(0)
		if i < 3 {
			differ ^= e[i+1] << 63
		}
		if i > 0 {
			before = (e[i-1]>>63 ^ e[i]&1) & 1
		}
		g.swap[i][lane] = differ<<1 | before
	}
	clear(e[:])
}

func load(words *[4]uint64, b *[Size]byte) {
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
}

// setPoint splits the coordinate into limbs of these widths, without its highest
// bit, which X25519 ignores.
func (g *group) setPoint(lane int, widths []uint, b *[Size]byte) {
	var words [4]uint64
	load(&words, b)
	at := uint(0)
	for i, width := range widths {
		limb := words[at/64] >> (at % 64)
		if at%64+width > 64 && at/64 < 3 {
			limb |= words[at/64+1] << (64 - at%64)
		}
		g.point[i][lane] = limb & (1<<width - 1)
		at += width
	}
}

// takeProduct reduces the product modulo p = 2^255-19 and writes it to b, unless
// it is 0.
func (g *group) takeProduct(lane int, widths []uint, b *[Size]byte) error {
	var v [4]uint64
	at := uint(0)
	for i, width := range widths {
		limb := g.product[i][lane]
		low, high := limb<<(at%64), limb>>1>>(63-at%64)
		var carry uint64
		for j := at / 64; j < 4; j++ {
			v[j], carry = bits.Add64(v[j], low, carry)
			low, high = high, 0
		}
		at += width
	}
	// The product is below 2^256. Twice: 2^255 is 19.
	for range 2 {
		add19(&v, v[3]>>63)
	}
	// Now it is below 2^255. If v+19 is not, v is at least p, and v+19-2^255 is
	// the result.
	_, carry := bits.Add64(v[0], 19, 0)
	for _, word := range v[1:3] {
		_, carry = bits.Add64(word, 0, carry)
	}
	add19(&v, (v[3]+carry)>>63)
	v[3] &^= 1 << 63
	if v[0]|v[1]|v[2]|v[3] == 0 { // the error is no secret
		return ErrLowOrder
	}
	for i, word := range v {
		binary.LittleEndian.PutUint64(b[8*i:], word)
	}
	clear(v[:])
	return nil
}

// add19 clears bit 255 and adds 19 if bit is 1.
func add19(v *[4]uint64, bit uint64) {
	var carry uint64
	v[3] &^= 1 << 63
	v[0], carry = bits.Add64(v[0], 19*bit, 0)
	for i := 1; i < 4; i++ {
		v[i], carry = bits.Add64(v[i], 0, carry)
	}
}
