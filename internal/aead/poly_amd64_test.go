package aead

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"slices"
	"testing"
)

// The arithmetic of Poly1305 at its edges. With r known, a text can be
// constructed that makes the accumulator (the sum, below) pass through any
// value. These proofs do that, and they also try the largest r.

var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))

var largestR, _ = new(big.Int).SetString("0ffffffc0ffffffc0ffffffc0fffffff", 16)

// edges returns values of the reduced sum near which an implementation may be
// wrong: near 0 and the prime, where the final subtraction happens or not; near
// the powers of two between limbs, of 26, 32, 44 and 64 bits; full limbs; and
// sums that carry when s is added at the end.
func edges(s *big.Int) (all []*big.Int) {
	near := func(x *big.Int) {
		for d := int64(-6); d <= 6; d++ {
			if y := new(big.Int).Add(x, big.NewInt(d)); y.Sign() >= 0 && y.Cmp(prime) < 0 {
				all = append(all, y)
			}
		}
	}
	near(new(big.Int))
	near(prime)
	near(new(big.Int).Rsh(prime, 1))
	for _, bits := range []uint{26, 32, 44, 52, 64, 78, 88, 96, 104, 128, 129} {
		near(new(big.Int).Lsh(big.NewInt(1), bits))
		near(new(big.Int).Sub(prime, new(big.Int).Lsh(big.NewInt(1), bits)))
	}
	for _, limb := range []uint{26, 44} {
		full := new(big.Int) // every second limb full
		for i := uint(0); i < 130; i++ {
			if i/limb%2 == 0 && i < 129 {
				full.SetBit(full, int(i), 1)
			}
		}
		near(full)
	}
	for _, bits := range []uint{32, 64, 128} {
		end := new(big.Int).Lsh(big.NewInt(1), bits)
		near(new(big.Int).Sub(end, new(big.Int).Mod(s, end)))
	}
	return all
}

// textLeadingTo returns a text of that length, random except for one block, so
// that the sum is target after block at, counted from 0. If at is the number of
// blocks of the text, that is the block of the lengths. At least one random
// block must precede the one that is chosen.
func textLeadingTo(r, target *big.Int, length, at int) []byte {
	inverse := new(big.Int).ModInverse(r, prime)
	blocks := (length + 15) / 16
	text := make([]byte, 16*blocks)
	for {
		copy(text, random(length))
		before := target
		free := min(at, length/16-1) // the block to choose: the last full one up to at
		for i := at; i > free; i-- {
			before = new(big.Int).Mul(before, inverse)
			before.Mod(before.Sub(before, polyBlock(text, i, length)), prime)
		}
		sum := new(big.Int)
		for i := range free {
			sum.Add(sum, polyBlock(text, i, length))
			sum.Mod(sum.Mul(sum, r), prime)
		}
		block := new(big.Int).Mul(before, inverse)
		block.Mod(block.Sub(block, sum), prime)
		if block.Rsh(block, 128).Cmp(big.NewInt(1)) != 0 {
			continue // only a quarter of all numbers is a valid block: try another text
		}
		block.Mul(before, inverse)
		block.Mod(block.Sub(block, sum), prime)
		lower := block.SetBit(block, 128, 0).FillBytes(make([]byte, 16))
		slices.Reverse(lower)
		copy(text[16*free:], lower)
		return text[:length]
	}
}

// polyBlock returns block i of the authenticated data: of the padded text, or
// of the lengths after it.
func polyBlock(text []byte, i, length int) *big.Int {
	block := make([]byte, 17)
	if 16*i < len(text) {
		copy(block, text[16*i:16*i+16])
	} else {
		binary.LittleEndian.PutUint64(block[8:], uint64(length))
	}
	block[16] = 1
	return littleEndian(block)
}

// clamped returns r, the clamped first half of a one-time key.
func clamped(oneTimeKey []byte) *big.Int {
	r := littleEndian(oneTimeKey[:16])
	return r.And(r, largestR)
}

// Texts whose sum is at each edge, after the last block and in the middle.
func TestProofOfPoly1305(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for _, length := range []int{32, 40, 150, 255} {
			blocks := (length + 15) / 16
			for _, at := range []int{blocks, blocks / 2} {
				if !raceEnabled && (!s.simulated || *exhaustive) || length == 32 || !raceEnabled && length == 150 && at == blocks {
					provePoly(t, s, length, at)
				}
			}
		}
	})
}

// At every block of a text, sums whose carry propagates through all limbs: near
// the multiples of 2^128, near 0 and near the prime. Such carries are rare, and
// an unrolled kernel has code for them in many places.
func TestProofOfCarries(t *testing.T) {
	var targets []*big.Int
	for i := range int64(4) {
		for _, d := range []int64{-6, -1, 0, 1, 4} {
			x := new(big.Int).Lsh(big.NewInt(i), 128)
			if x.Add(x, big.NewInt(d)); x.Sign() < 0 {
				x.Add(x, prime)
			}
			targets = append(targets, x)
		}
	}
	eachSubject(t, func(t *testing.T, s subject) {
		const length = 400
		for at := 1; at <= length/16; at++ {
			provePolyAt(t, s, length, at, func(*big.Int) []*big.Int { return targets })
		}
	})
}

func provePoly(t *testing.T, s subject, length, at int) {
	t.Helper()
	provePolyAt(t, s, length, at, edges)
}

// provePolyAt tries texts whose sums after block at are those that edges
// returns.
func provePolyAt(t *testing.T, s subject, length, at int, edges func(s *big.Int) []*big.Int) {
	t.Helper()
	count := len(edges(new(big.Int)))
	for first := 0; first < count; first += s.lanes {
		var sealed []byte
		parts := make([]Part, s.lanes)
		for lane := range s.lanes {
			secret := random(KeySize)
			counter := binary.LittleEndian.Uint64(random(8))
			nonce := binary.LittleEndian.AppendUint64(make([]byte, 4), counter)
			oneTimeKey := referenceBlock(secret, nonce, 0)[:32]
			all := edges(littleEndian(oneTimeKey[16:]))
			target := all[(first+lane)%len(all)]
			text := textLeadingTo(clamped(oneTimeKey), target, length, at)
			tag := referencePoly1305(oneTimeKey, authenticated(text))
			if at == (length+15)/16 && !bytes.Equal(tag, lowest128(new(big.Int).Add(target, littleEndian(oneTimeKey[16:])))) {
				t.Fatal("the text does not lead to the target")
			}
			parts[lane] = Part{newKey([KeySize]byte(secret)), nil, []Packet{{int32(len(sealed)), int32(length + MinSize)}}}
			sealed = slices.Concat(sealed, make([]byte, 4), nonce, text, tag)
		}
		buf := bytes.Clone(sealed)
		for lane := range parts {
			parts[lane].Buf = buf
		}
		if process(&s.kernel, parts, true) != 0 {
			t.Fatalf("%d bytes, edges from number %d, after block %d: a valid tag is refused", length, first, at)
		}
		process(&s.kernel, parts, false)
		if !bytes.Equal(buf, sealed) {
			t.Fatalf("%d bytes, edges from number %d, after block %d: the tag differs from the reference", length, first, at)
		}
	}
}

// authenticated returns what a tag covers: the padded text and the lengths.
func authenticated(text []byte) []byte {
	b := append(bytes.Clone(text), make([]byte, -len(text)&15)...)
	return binary.LittleEndian.AppendUint64(append(b, make([]byte, 8)...), uint64(len(text)))
}

func lowest128(x *big.Int) []byte {
	b := new(big.Int).And(x, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))).FillBytes(make([]byte, 16))
	slices.Reverse(b)
	return b
}

// clampMask has the halves of the mask that clamps r (RFC 8439, section 2.5),
// which is also the largest r.
var clampMask = [2]uint64{0x0ffffffc_0fffffff, 0x0ffffffc_0ffffffc}

// withLargestR makes the next run compute with the largest r: r AND the mask is
// the mask. Later operands may equal the mask, too, so only the first use per
// lane counts.
func (s *simulation) withLargestR() (uses *[2]int) {
	uses = new([2]int)
	s.program.And = func(a, b uint64) uint64 {
		for i, half := range clampMask {
			if (a == half || b == half) && uses[i] < s.kernel.lanes {
				uses[i]++
				return half
			}
		}
		return a & b
	}
	return uses
}

// With the largest r, which fills the limbs as much as possible: texts of bytes
// 0xff, random texts, and texts that lead to the edges.
func TestProofOfLargestR(t *testing.T) {
	for _, s := range simulations(t) {
		t.Run(s.kernel.name, func(t *testing.T) {
			s.t, s.native = t, false
			for _, length := range []int{0, 1, 16, 33, 64, 100, 128, 192, 300, 513, 1420} {
				if raceEnabled && length > 192 {
					break
				}
				full := slices.Repeat([]byte{0xff}, length)
				s.proveLargest(t, slices.Repeat([][]byte{full}, s.kernel.lanes))
				texts := make([][]byte, s.kernel.lanes)
				for i := range texts {
					texts[i] = random(length)
				}
				s.proveLargest(t, texts)
			}
			targets := edges(new(big.Int))
			if raceEnabled {
				targets = targets[:32]
			}
			for chunk := range slices.Chunk(targets, s.kernel.lanes) {
				texts := make([][]byte, s.kernel.lanes)
				for i := range texts {
					texts[i] = textLeadingTo(largestR, chunk[i%len(chunk)], 170, 11)
				}
				s.proveLargest(t, texts)
			}
		})
	}
}

// proveLargest compares the tags of the texts, taken as ciphertexts, with those
// of the reference.
func (s *simulation) proveLargest(t *testing.T, texts [][]byte) {
	t.Helper()
	work := new(group)
	work.length, work.packets = uint64(len(texts[0])), uint64(len(texts))
	for lane, text := range texts {
		buf := append(bytes.Clone(text), 0) // an empty text has an address, too
		work.text[lane], work.key[lane], work.counter[lane] = &buf[0], (*[KeySize]byte)(random(KeySize)), uint64(lane)
	}
	uses := s.withLargestR()
	s.run(work, true)
	if uses[0] != s.kernel.lanes || uses[1] != s.kernel.lanes {
		t.Fatalf("the kernel clamps r in a way that this proof does not recognize: %v", *uses)
	}
	for lane, text := range texts {
		nonce := binary.LittleEndian.AppendUint64(make([]byte, 4), uint64(lane))
		oneTimeKey := append(lowest128(largestR), referenceBlock(work.key[lane][:], nonce, 0)[16:32]...)
		want := referencePoly1305(oneTimeKey, authenticated(text))
		got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, work.tag[0][lane]), work.tag[1][lane])
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, lane %d, text %x: tag %x, want %x", len(text), lane, text, got, want)
		}
	}
}

// Wycheproof's keys, counters and texts. Its authenticated data is tried as a
// text, too, because it leads sums to special values.
func TestProofByWycheproof(t *testing.T) {
	all := vectors(t, "wycheproof.txt")
	eachSubject(t, func(t *testing.T, s subject) {
		for i, v := range all {
			data, text := v.field["data"], v.field["plaintext"]
			mac := slices.Concat(data, make([]byte, -len(data)&15), v.field["out"][:len(text)], make([]byte, -len(text)&15))
			mac = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(mac, uint64(len(data))), uint64(len(text)))
			secret, nonce := v.field["key"], slices.Concat(make([]byte, 4), v.field["nonce"][4:])
			stream := referenceSeal(secret, nonce, make([]byte, len(mac)), nil)
			for j := range mac {
				mac[j] ^= stream[j] // so that sealing restores it
			}
			for _, plain := range [][]byte{text, mac} {
				proveVector(t, s, secret, nonce, plain, i)
			}
		}
	})
}

// proveVector seals the text in a group of others with other keys.
func proveVector(t *testing.T, s subject, secret, nonce, text []byte, number int) {
	t.Helper()
	texts := make([][]byte, s.lanes)
	for lane := range texts {
		texts[lane] = random(len(text))
	}
	lane := number % s.lanes
	texts[lane] = text
	buf, packets := layOut(texts...)
	parts := make([]Part, s.lanes)
	for i, p := range packets {
		binary.LittleEndian.PutUint64(buf[p.Off+counterAt:], binary.LittleEndian.Uint64(nonce[4:])+uint64(i-lane))
		parts[i] = Part{newKey([KeySize]byte(random(KeySize))), buf, packets[i : i+1]}
	}
	parts[lane].Key = newKey([KeySize]byte(secret))
	plain := bytes.Clone(buf)
	process(&s.kernel, parts, false)
	want := referenceSeal(secret, nonce, text, nil)
	if got := packets[lane].in(buf)[HeaderSize:]; !bytes.Equal(got, want) {
		t.Fatalf("vector number %d, lane %d: sealed to %x, want %x", number, lane, got, want)
	}
	if process(&s.kernel, parts, true) != 0 || !bytes.Equal(buf[:packets[0].Len-TagSize], plain[:packets[0].Len-TagSize]) {
		t.Fatalf("vector number %d, lane %d: the sealed packets do not open", number, lane)
	}
}
