package aead

import (
	"bytes"
	"encoding/binary"
	"flag"
	"math"
	"slices"
	"testing"
)

// The proof that a kernel is the cipher: it does to any group what x/crypto does
// to its packets alone, and touches nothing else.

// exhaustive leaves nothing out on the simulated processor, which is slow.
var exhaustive = flag.Bool("exhaustive", false, "prove kernels on the simulated processor for every length, too")

// A subject is a kernel to be proved, on this processor or on a simulated one.
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
			t.Logf("%s: this processor lacks it, so it is proved on the simulated one only", k.name)
		}
	}
	if raceEnabled {
		t.Log("the simulated processor takes no part under the race detector; make kernels has it")
		return
	}
	for _, s := range simulations(t) {
		t.Run("simulated "+s.kernel.name, func(t *testing.T) {
			s.t = t
			proof(t, subject{s.asKernel(), true})
		})
	}
}

// lengths of texts that reach every path of a kernel more than once, for proofs
// that try much at each of them.
func (s subject) lengths() []int {
	if s.simulated {
		return []int{0, 1, 47, 64, 130, 333}
	}
	return []int{0, 1, 15, 16, 17, 63, 64, 65, 100, 127, 128, 129, 191, 240, 256, 500, 1024, 1420}
}

// A fixture is a buffer with packets of these lengths in it, and what must become
// of them: packets with gaps between them, and something everywhere.
type fixture struct {
	key     *Key
	plain   []byte
	sealed  []byte
	packets []Packet
}

// newFixture begins at that offset in the buffer. Packets have the counters
// first, first+1 and so on.
func newFixture(offset int, first uint64, lengths []int) *fixture {
	secret := [KeySize]byte(random(KeySize))
	b := &fixture{key: newKey(secret)}
	size := offset
	for i, n := range lengths {
		size += int(random(1)[0]) % 4 * (i & 1) // packets need not touch each other
		b.packets = append(b.packets, Packet{int32(size), int32(n + MinSize)})
		size += n + MinSize
	}
	b.plain = random(size + 70)
	for i, p := range b.packets {
		binary.LittleEndian.PutUint64(b.plain[p.Off+counterAt:], first+uint64(i))
	}
	b.sealed = bytes.Clone(b.plain)
	for i, p := range b.packets {
		text := b.plain[p.Off+HeaderSize : p.Off+p.Len-TagSize]
		copy(b.sealed[p.Off+HeaderSize:], xcryptoSeal(secret[:], first+uint64(i), text))
	}
	return b
}

// prove seals and opens all of it.
func (b *fixture) prove(t *testing.T, k *kernel) {
	t.Helper()
	buf, packets := bytes.Clone(b.plain), slices.Clone(b.packets)
	b.key.process(k, buf, packets, false)
	if !bytes.Equal(buf, b.sealed) || !slices.Equal(packets, b.packets) {
		t.Fatalf("%v: sealed to something else than by x/crypto, or more than the packets was touched", b.packets)
	}
	if b.key.process(k, buf, packets, true) != 0 || !slices.Equal(packets, b.packets) {
		t.Fatalf("%v: what x/crypto sealed does not open", b.packets)
	}
	for _, p := range b.packets { // the tags stay
		copy(buf[p.Off+p.Len-TagSize:p.Off+p.Len], b.plain[p.Off+p.Len-TagSize:])
	}
	if !bytes.Equal(buf, b.plain) {
		t.Fatalf("%v: opened to another text, or more than the packets was touched", b.packets)
	}
}

// Full groups of every length from 0 to 2,048, of lengths around 9,000, and of
// the longest that fit into a datagram.
func TestProofOfEveryLength(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for length := range 2049 {
			if s.simulated && !*exhaustive && length > 70 && length%64 > 1 {
				continue
			}
			newFixture(length%64, uint64(length)<<31, slices.Repeat([]int{length}, s.lanes)).prove(t, &s.kernel)
		}
		for _, around := range []int{9000, math.MaxUint16 - MinSize} {
			for length := around - 20; length <= around+20; length++ {
				if !s.simulated || *exhaustive && length == around-7 {
					newFixture(0, 1, slices.Repeat([]int{length}, s.lanes)).prove(t, &s.kernel)
				}
			}
		}
	})
}

// Groups of any size, up to two full ones and one more packet.
func TestProofOfEveryGroup(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for count := 1; count <= 2*s.lanes+1; count++ {
			for _, length := range s.lengths() {
				newFixture(3, 0, slices.Repeat([]int{length}, count)).prove(t, &s.kernel)
			}
		}
	})
}

// Groups anywhere within a cache line, with packets of odd length behind one
// another, so that each lane is somewhere else in its own.
func TestProofOfEveryAlignment(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for offset := range 64 {
			for _, length := range []int{65, 131} {
				newFixture(offset, 9, slices.Repeat([]int{length}, s.lanes)).prove(t, &s.kernel)
			}
		}
	})
}

// Batches of many lengths in any order, like small packets of many flows.
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
			newFixture(1, 5, lengths).prove(t, &s.kernel)
		}
	})
}

// Counters that carry into the upper word, and over its end, in every lane; and
// counters that do not follow one another.
func TestProofOfCounters(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for lane := range s.lanes {
			for _, end := range []uint64{1 << 32, 1 << 33, 1 << 63, 0, 0xffffffff_00000000} {
				newFixture(0, end-uint64(lane), slices.Repeat([]int{70}, s.lanes)).prove(t, &s.kernel)
			}
		}
		b := newFixture(0, 0, slices.Repeat([]int{100}, s.lanes))
		for _, p := range b.packets {
			counter := binary.LittleEndian.Uint64(random(8))
			text := b.plain[p.Off+HeaderSize : p.Off+p.Len-TagSize]
			copy(b.sealed[p.Off+HeaderSize:], xcryptoSeal(b.key.bytes[:], counter, text))
			binary.LittleEndian.PutUint64(b.plain[p.Off+counterAt:], counter)
			binary.LittleEndian.PutUint64(b.sealed[p.Off+counterAt:], counter)
		}
		b.prove(t, &s.kernel)
	})
}

// Every byte of every lane's tag, and bytes all over its text: changed, the
// packet is refused, nothing of its text is left, and the others open. So it is
// when several packets, or all, are forged.
func TestProofOfForgeries(t *testing.T) {
	eachSubject(t, func(t *testing.T, s subject) {
		for _, length := range s.lengths() {
			if length == 333 || length > 300 {
				continue
			}
			b := newFixture(5, 77, slices.Repeat([]int{length}, s.lanes))
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

// proveForged changes one bit of the victims (one bit for each), counted from
// the beginning of the text, and opens.
func (b *fixture) proveForged(t *testing.T, k *kernel, victims uint, at int) {
	t.Helper()
	buf, packets := bytes.Clone(b.sealed), slices.Clone(b.packets)
	want := bytes.Clone(b.sealed)
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
	if failed := b.key.process(k, buf, packets, true); failed != failures || !bytes.Equal(buf, want) {
		t.Fatalf("%d bytes, byte %d of packets %b changed: %d failed; or what is left is not what should be", b.packets[0].Len-MinSize, at, victims, failed)
	}
	for i, p := range packets {
		if refused := victims>>i&1 == 1; refused != (p.Len == 0) {
			t.Fatalf("byte %d of packets %b changed: packet %d has the length %d", at, victims, i, p.Len)
		}
	}
}

// What is secret changes neither the instructions that a kernel executes nor
// the addresses that it touches.
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
	work.length = uint64(length)
	for lane := range maxLanes {
		work.offset[lane] = uint64(lane * (length + MinSize))
		work.counter[lane] = uint64(lane) << 30
	}
	var traces []uint64
	for round := range 4 {
		fill := random(1)[0]
		for i := range buf {
			buf[i] = fill * byte(i*round)
		}
		work.setKey((*[KeySize]byte)(random(KeySize)))
		copy(work.scratch[:], random(scratchSize))
		s.garbage++
		s.run(work, &buf[0], open)
		traces = append(traces, s.result.Trace)
	}
	if slices.Min(traces) != slices.Max(traces) {
		t.Errorf("texts of %d bytes, open %v: another secret takes another way: %x", length, open, traces)
	}
}

// Neither the rest of the group's memory nor what registers hold before makes a
// difference.
func TestProofOfStaleState(t *testing.T) {
	for _, s := range simulations(t) {
		s.native = false
		for _, length := range []int{0, 100, 600} {
			b := newFixture(0, 1, slices.Repeat([]int{length}, s.kernel.lanes))
			for range 3 {
				s.garbage = binary.LittleEndian.Uint64(random(8)) | 1
				k := s.asKernel()
				k.run = func(work *group, base *byte, open bool) {
					copy(work.scratch[:], random(scratchSize))
					for i := range work.tag {
						for lane := range work.tag[i] {
							work.tag[i][lane] = binary.LittleEndian.Uint64(random(8))
						}
					}
					s.run(work, base, open)
				}
				b.prove(t, &k)
			}
		}
	}
}
