package aead

import (
	"bytes"
	"encoding/binary"
	"flag"
	"math"
	"slices"
	"testing"
)

// These tests prove that a kernel implements the cipher: for any group, the
// result is that of x/crypto for each packet, and nothing else is touched.

// exhaustive skips nothing on the simulated processor, which is slow.
var exhaustive = flag.Bool("exhaustive", false, "prove kernels for every length on the simulated processor, too")

// A subject is a kernel to prove, on this processor or on a simulated one.
type subject struct {
	kernel
	simulated bool
}

// eachSubject runs a proof for every kernel.
func eachSubject(t *testing.T, proof func(*testing.T, subject)) {
	for _, k := range kernels {
		if k.supported() {
			k.minPackets, k.minLong = 1, 1
			t.Run(k.name, func(t *testing.T) { proof(t, subject{k, false}) })
		} else {
			t.Logf("%s: not supported by this processor, proved only on the simulated one", k.name)
		}
	}
	if raceEnabled {
		t.Log("the simulated processor is skipped under the race detector; make kernels uses it")
		return
	}
	for _, s := range simulations(t) {
		t.Run("simulated "+s.kernel.name, func(t *testing.T) {
			s.t = t
			proof(t, subject{s.asKernel(), true})
		})
	}
}

// lengths returns lengths of texts that reach every path of a kernel more than
// once, for proofs that do much work for each length.
func (s subject) lengths() []int {
	if s.simulated {
		return []int{0, 1, 47, 64, 130, 333}
	}
	return []int{0, 1, 15, 16, 17, 63, 64, 65, 100, 127, 128, 129, 191, 240, 256, 500, 1024, 1420}
}

// A fixture is memory full of random bytes with packets in it, some with gaps
// between them, and what sealing must make of it.
type fixture struct {
	plain   []byte
	sealed  []byte
	packets []Packet
	keys    []*Key // of each packet
}

// newFixture returns a fixture with packets of these lengths, the first one at
// that offset in the memory. They have the counters first, first+1 and so on.
// Each of that many keys is the key of about the same number of successive
// packets.
func newFixture(keys, offset int, first uint64, lengths []int) *fixture {
	b := &fixture{}
	size := offset
	for i, n := range lengths {
		size += int(random(1)[0]) % 4 * (i & 1) // a gap before every second packet
		b.packets = append(b.packets, Packet{int32(size), int32(n + MinSize)})
		size += n + MinSize
		if i > 0 && i*keys/len(lengths) == (i-1)*keys/len(lengths) {
			b.keys = append(b.keys, b.keys[i-1])
			continue
		}
		b.keys = append(b.keys, newKey([KeySize]byte(random(KeySize))))
	}
	b.plain = random(size + 70)
	for i, p := range b.packets {
		binary.LittleEndian.PutUint64(b.plain[p.Off+counterAt:], first+uint64(i))
	}
	b.sealed = bytes.Clone(b.plain)
	for i, p := range b.packets {
		text := b.plain[p.Off+HeaderSize : p.Off+p.Len-TagSize]
		copy(b.sealed[p.Off+HeaderSize:], xcryptoSeal(b.keys[i].bytes[:], first+uint64(i), text))
	}
	return b
}

// over returns the packets in a copy of the memory. Successive packets with one
// key are a part, whose buffer is another piece of that memory for each part.
func (b *fixture) over(memory []byte) (parts []Part) {
	start := int32(0)
	for i, p := range b.packets {
		if i == 0 || b.keys[i] != b.keys[i-1] {
			start = p.Off / 2
			parts = append(parts, Part{Key: b.keys[i]})
		}
		part, end := &parts[len(parts)-1], p.Off+p.Len
		part.Buf = memory[start:end:end]
		part.Packets = append(part.Packets, Packet{p.Off - start, p.Len})
	}
	return parts
}

// refused returns the packets with Len 0, one bit each, and whether all others
// have their own Len.
func (b *fixture) refused(parts []Part) (bits uint, ok bool) {
	i := 0
	ok = true
	for _, part := range parts {
		for _, p := range part.Packets {
			if p.Len == 0 {
				bits |= 1 << i
			} else if p.Len != b.packets[i].Len {
				ok = false
			}
			i++
		}
	}
	return bits, ok && i == len(b.packets)
}

func (b *fixture) allOpen(parts []Part) bool {
	bits, ok := b.refused(parts)
	return bits == 0 && ok
}

// prove seals and opens all packets and compares with what is expected.
func (b *fixture) prove(t *testing.T, k *kernel) {
	t.Helper()
	buf := bytes.Clone(b.plain)
	parts := b.over(buf)
	process(k, parts, false)
	if !bytes.Equal(buf, b.sealed) || !b.allOpen(parts) {
		t.Fatalf("%v: sealed differently from x/crypto, or other bytes were changed", b.packets)
	}
	if process(k, parts, true) != 0 || !b.allOpen(parts) {
		t.Fatalf("%v: packets sealed as by x/crypto do not open", b.packets)
	}
	for _, p := range b.packets { // opening leaves the tags
		copy(buf[p.Off+p.Len-TagSize:p.Off+p.Len], b.plain[p.Off+p.Len-TagSize:])
	}
	if !bytes.Equal(buf, b.plain) {
		t.Fatalf("%v: the opened texts differ from the sealed ones, or other bytes were changed", b.packets)
	}
}

// Full groups of every length from 0 to 2,048, of lengths around 9,000, and
// around the longest that fits into a datagram.
func TestProofOfEveryLength(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for length := range 2049 {
			if s.simulated && !*exhaustive && length > 70 && length%64 > 1 {
				continue
			}
			newFixture(s.lanes, length%64, uint64(length)<<31, slices.Repeat([]int{length}, s.lanes)).prove(t, &s.kernel)
		}
		for _, around := range []int{9000, math.MaxUint16 - MinSize} {
			for length := around - 20; length <= around+20; length++ {
				if !s.simulated || *exhaustive && length == around-7 {
					newFixture(s.lanes, 0, 1, slices.Repeat([]int{length}, s.lanes)).prove(t, &s.kernel)
				}
			}
		}
	})
}

// Batches of every size, up to two full groups and one more packet; each packet
// with a key of its own, and all with one key.
func TestProofOfEveryGroup(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for count := 1; count <= 2*s.lanes+1; count++ {
			for _, length := range s.lengths() {
				newFixture(count, 3, 0, slices.Repeat([]int{length}, count)).prove(t, &s.kernel)
				newFixture(1, 3, 0, slices.Repeat([]int{length}, count)).prove(t, &s.kernel)
			}
		}
	})
}

// What becomes of a packet that is listed twice is undefined, but all others are
// sealed: none of them is sent as plaintext.
func TestProofOfPacketListedTwice(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for twice := 1; twice < s.lanes; twice++ {
			for _, length := range []int{64, 700} {
				b := newFixture(1, 0, 3, slices.Repeat([]int{length}, s.lanes))
				buf := bytes.Clone(b.plain)
				parts := b.over(buf)
				parts[0].Packets[twice] = parts[0].Packets[0]
				process(&s.kernel, parts, false)
				for i, p := range b.packets {
					if i != 0 && i != twice && !bytes.Equal(p.in(buf), p.in(b.sealed)) {
						t.Fatalf("%d bytes: packet %d is not sealed, because packet %d is packet 0", length, i, twice)
					}
				}
			}
		}
	})
}

// Groups at every offset in a cache line, with successive packets of odd
// length, so that each lane has a different alignment.
func TestProofOfEveryAlignment(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for offset := range 64 {
			for _, length := range []int{65, 131} {
				newFixture(3, offset, 9, slices.Repeat([]int{length}, s.lanes)).prove(t, &s.kernel)
			}
		}
	})
}

// Batches of many lengths in any order and any number of keys, as from small
// packets of many flows.
func TestProofOfMixedLengths(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		rounds := 200
		if s.simulated {
			rounds = 5
		}
		for range rounds {
			var lengths []int
			for _, n := range random(1 + int(random(1)[0])%48) {
				lengths = append(lengths, int(n)%(2+len(lengths)%40)*16)
			}
			newFixture(1+int(random(1)[0])%len(lengths), 1, 5, lengths).prove(t, &s.kernel)
		}
	})
}

// Counters that carry into the upper word and overflow it, in every lane; and
// counters that are not consecutive.
func TestProofOfCounters(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for lane := range s.lanes {
			for _, end := range []uint64{1 << 32, 1 << 33, 1 << 63, 0, 0xffffffff_00000000} {
				newFixture(s.lanes, 0, end-uint64(lane), slices.Repeat([]int{70}, s.lanes)).prove(t, &s.kernel)
			}
		}
		b := newFixture(s.lanes, 0, 0, slices.Repeat([]int{100}, s.lanes))
		for i, p := range b.packets {
			counter := binary.LittleEndian.Uint64(random(8))
			text := b.plain[p.Off+HeaderSize : p.Off+p.Len-TagSize]
			copy(b.sealed[p.Off+HeaderSize:], xcryptoSeal(b.keys[i].bytes[:], counter, text))
			binary.LittleEndian.PutUint64(b.plain[p.Off+counterAt:], counter)
			binary.LittleEndian.PutUint64(b.sealed[p.Off+counterAt:], counter)
		}
		b.prove(t, &s.kernel)
	})
}

// A packet with a changed byte, anywhere in its tag or in its text, is refused
// and zeroed, and the other packets open; likewise if several or all are
// forged.
func TestProofOfForgeries(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for _, length := range s.lengths() {
			if length == 333 || length > 300 {
				continue
			}
			b := newFixture(s.lanes, 5, 77, slices.Repeat([]int{length}, s.lanes))
			step := 1
			if s.simulated {
				step = 7
			}
			for lane := range s.lanes {
				for at := range TagSize {
					if at%step == 0 {
						b.proveForged(t, &s.kernel, 1<<lane, length+at)
					}
				}
				for at := lane; at < length; at += 13 * step * step {
					b.proveForged(t, &s.kernel, 1<<lane, at)
				}
			}
			for victims := uint(3); victims < 1<<s.lanes; victims += 1 + victims*uint(step)/4 {
				b.proveForged(t, &s.kernel, victims, length+3)
			}
			b.proveForged(t, &s.kernel, 1<<s.lanes-1, length)
		}
	})
}

// proveForged changes one bit in byte at, counted from the beginning of the
// text, of each packet whose bit in victims is set, and opens all packets.
func (b *fixture) proveForged(t *testing.T, k *kernel, victims uint, at int) {
	t.Helper()
	buf, want := bytes.Clone(b.sealed), bytes.Clone(b.sealed)
	parts := b.over(buf)
	failures := 0
	for i, p := range b.packets {
		text := want[p.Off+HeaderSize : p.Off+p.Len]
		if victims>>i&1 == 1 {
			failures++
			buf[int(p.Off)+HeaderSize+at] ^= 1 << (at % 8)
			clear(text)
		} else {
			copy(text[:len(text)-TagSize], b.plain[p.Off+HeaderSize:])
		}
	}
	if failed := process(k, parts, true); failed != failures || !bytes.Equal(buf, want) {
		t.Fatalf("%d bytes, byte %d of packets %b changed: %d failed, want %d; or the buffer differs", b.packets[0].Len-MinSize, at, victims, failed, failures)
	}
	if refused, ok := b.refused(parts); refused != victims || !ok {
		t.Fatalf("byte %d of packets %b changed: %b have Len 0", at, victims, refused)
	}
}

// Secrets affect neither the instructions that a kernel executes nor the
// addresses that it accesses.
func TestProofOfConstantTime(t *testing.T) {
	for _, s := range simulations(t) {
		t.Run(s.kernel.name, func(t *testing.T) {
			s.t, s.native = t, false
			for _, length := range []int{0, 1, 64, 100, 600} {
				for _, open := range []bool{false, true} {
					if raceEnabled && length > 64 {
						continue
					}
					s.proveConstantTime(t, length, open)
				}
			}
		})
	}
}

func (s *simulation) proveConstantTime(t *testing.T, length int, open bool) {
	t.Helper()
	work := new(group)
	buf := make([]byte, maxLanes*(length+MinSize)+1)
	work.length, work.packets = uint64(length), maxLanes
	var keys [maxLanes][KeySize]byte
	for lane := range maxLanes {
		work.text[lane], work.key[lane] = &buf[lane*(length+MinSize)], &keys[lane]
		work.counter[lane] = uint64(lane) << 30
	}
	var traces []uint64
	for round := range 4 {
		fill := random(1)[0]
		for i := range buf {
			buf[i] = fill * byte(i*round)
		}
		for lane := range keys {
			copy(keys[lane][:], random(KeySize))
		}
		copy(work.scratch[:], random(scratchSize))
		s.garbage++
		s.run(work, open)
		traces = append(traces, s.result.Trace)
	}
	if slices.Min(traces) != slices.Max(traces) {
		t.Errorf("texts of %d bytes, open %v: the trace depends on the secret: %x", length, open, traces)
	}
}

// The result depends neither on earlier contents of the scratch and the tags
// nor on those of the registers.
func TestProofOfStaleState(t *testing.T) {
	for _, s := range simulations(t) {
		s.native = false
		for _, length := range []int{0, 100, 600} {
			b := newFixture(s.kernel.lanes, 0, 1, slices.Repeat([]int{length}, s.kernel.lanes))
			for range 3 {
				s.garbage = binary.LittleEndian.Uint64(random(8)) | 1
				k := s.asKernel()
				k.run = func(work *group, open bool) {
					copy(work.scratch[:], random(scratchSize))
					for i := range work.tag {
						for lane := range work.tag[i] {
							work.tag[i][lane] = binary.LittleEndian.Uint64(random(8))
						}
					}
					s.run(work, open)
				}
				b.prove(t, &k)
			}
		}
	}
}
