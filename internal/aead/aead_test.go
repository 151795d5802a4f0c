package aead

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
)

func newKey(b [KeySize]byte) *Key {
	k := new(Key)
	k.Set(&b)
	return k
}

// layOut returns a buffer with a packet for each plaintext, back to back. The
// headers are not zero, except for the counter.
func layOut(plaintexts ...[]byte) (buf []byte, packets []Packet) {
	for _, p := range plaintexts {
		packets = append(packets, Packet{int32(len(buf)), int32(len(p) + MinSize)})
		buf = append(buf, 4, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 0, 0, 0, 0, 0)
		buf = append(append(buf, p...), make([]byte, TagSize)...)
	}
	return buf, packets
}

var rng = rand.NewChaCha8([32]byte{8, 4, 39})

func random(n int) []byte {
	b := make([]byte, n)
	rng.Read(b)
	return b
}

// xcryptoSeal seals a plaintext with x/crypto.
func xcryptoSeal(key []byte, counter uint64, plaintext []byte) []byte {
	c, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err)
	}
	return c.Seal(nil, binary.LittleEndian.AppendUint64(make([]byte, 4), counter), plaintext, nil)
}

// Texts of every length from 0 to 2,048 are sealed as by x/crypto, and open
// again.
func TestEveryLength(t *testing.T) { eachKernel(t, testEveryLength) }

func testEveryLength(t *testing.T) {
	key := random(KeySize)
	k := newKey([KeySize]byte(key))
	for length := range 2049 {
		plaintext, counter := random(length), uint64(length)<<35
		buf, packets := layOut(plaintext)
		k.Seal(buf, packets, counter)
		if got := packets[0].in(buf)[HeaderSize:]; !bytes.Equal(got, xcryptoSeal(key, counter, plaintext)) {
			t.Fatalf("length %d: sealed differently from x/crypto", length)
		}
		if length < 300 {
			nonce := binary.LittleEndian.AppendUint64(make([]byte, 4), counter)
			if !bytes.Equal(buf[HeaderSize:], referenceSeal(key, nonce, plaintext, nil)) {
				t.Fatalf("length %d: sealed differently from the reference", length)
			}
		}
		if failed := k.Open(buf, packets); failed != 0 || packets[0].Len != int32(length+MinSize) {
			t.Fatalf("length %d: the sealed packet does not open", length)
		}
		if !bytes.Equal(buf[HeaderSize:HeaderSize+length], plaintext) {
			t.Fatalf("length %d: the opened plaintext differs from the sealed one", length)
		}
	}
}

// Batches of any size, with equal and mixed lengths, at any alignment and with
// gaps, give the same result as their packets alone. No other byte is touched.
func TestBatches(t *testing.T) { eachKernel(t, testBatches) }

func testBatches(t *testing.T) {
	key := random(KeySize)
	k := newKey([KeySize]byte(key))
	for count := range 40 {
		for _, length := range []int{0, 1, 16, 63, 64, 65, 240, 1008, 1420, -1} {
			testBatch(t, k, key, count, length)
		}
	}
}

func testBatch(t *testing.T, k *Key, key []byte, count, length int) {
	t.Helper()
	buf := random(rand.IntN(70))
	var packets []Packet
	var plaintexts [][]byte
	for i := range count {
		n := length
		if n < 0 || i == count-1 {
			n = rand.IntN(max(length, 0) + 300) // the last packet of a train may have another length
		}
		plaintexts = append(plaintexts, random(n))
		packets = append(packets, Packet{int32(len(buf)), int32(n + MinSize)})
		buf = slices.Concat(buf, random(HeaderSize), plaintexts[i], random(TagSize))
		if count > 3 && i%5 == 3 {
			packets[i].Len = 0 // dropped
		}
	}
	buf = append(buf, random(70)...)
	before := slices.Clone(buf)
	want := slices.Clone(buf)
	first := uint64(math.MaxUint32 - 5) // the sixth packet carries into the upper half
	for i, p := range packets {
		if p.Len != 0 {
			binary.LittleEndian.PutUint64(want[p.Off+8:], first+uint64(i))
			copy(want[p.Off+HeaderSize:], xcryptoSeal(key, first+uint64(i), plaintexts[i]))
		}
	}
	lens := slices.Clone(packets)
	k.Seal(buf, packets, first)
	if !bytes.Equal(buf, want) || !slices.Equal(packets, lens) {
		t.Fatalf("%d packets of %d: the sealed batch differs from its packets sealed alone", count, length)
	}
	if k.Open(buf, packets) != 0 || !slices.Equal(packets, lens) {
		t.Fatalf("%d packets of %d: the batch does not open", count, length)
	}
	for i, p := range packets {
		if p.Len != 0 && !bytes.Equal(p.in(buf)[HeaderSize:p.Len-TagSize], plaintexts[i]) {
			t.Fatalf("%d packets of %d: the opened plaintext of packet %d differs", count, length, i)
		}
		if p.Len == 0 {
			end := int(p.Off) + len(plaintexts[i]) + MinSize
			if !bytes.Equal(buf[p.Off:end], before[p.Off:end]) {
				t.Fatalf("%d packets of %d: packet %d has Len 0 and was changed", count, length, i)
			}
		}
	}
}

// Packets of several keys in several buffers, of many lengths and some with Len
// 0, give in one call the same result as each part alone.
func TestParts(t *testing.T) { eachKernel(t, testParts) }

func testParts(t *testing.T) {
	for range 100 {
		var together, alone []Part
		for range rand.IntN(30) {
			k, buf := newKey([KeySize]byte(random(KeySize))), random(rand.IntN(70))
			var packets []Packet
			for range rand.IntN(4) {
				p := Packet{int32(len(buf)), int32(MinSize + rand.IntN(6)*50)}
				buf = append(buf, random(int(p.Len))...)
				if rand.IntN(8) == 0 {
					p.Len = 0 // dropped
				}
				packets = append(packets, p)
			}
			buf = append(buf, random(70)...)
			together = append(together, Part{k, buf, packets})
			alone = append(alone, Part{k, slices.Clone(buf), slices.Clone(packets)})
		}
		Seal(together)
		for i := range alone {
			Seal(alone[i : i+1])
		}
		sameParts(t, together, alone)
		forged := 0
		for i := range together {
			for _, p := range together[i].Packets {
				if p.Len != 0 && rand.IntN(10) == 0 {
					at := p.Off + HeaderSize + rand.Int32N(p.Len-HeaderSize)
					together[i].Buf[at] ^= 1
					alone[i].Buf[at] ^= 1
					forged++
				}
			}
		}
		failed := Open(together)
		for i := range alone {
			failed += Open(alone[i : i+1])
		}
		if failed != 2*forged {
			t.Fatalf("%d of %d forged packets failed, together and alone", failed, 2*forged)
		}
		sameParts(t, together, alone)
	}
}

func sameParts(t *testing.T, together, alone []Part) {
	t.Helper()
	for i, part := range together {
		if !bytes.Equal(part.Buf, alone[i].Buf) || !slices.Equal(part.Packets, alone[i].Packets) {
			t.Fatalf("part %d of %d: sealed or opened differently with other parts", i, len(together))
		}
	}
}

// A35: a call with a key before Set or after Erase panics, whatever the other
// parts are, and changes no packet.
func TestPartWithoutKey(t *testing.T) { eachKernel(t, testPartWithoutKey) }

func testPartWithoutKey(t *testing.T) {
	erased := newKey([KeySize]byte(random(KeySize)))
	erased.Erase()
	for _, bad := range []*Key{new(Key), erased} {
		buf, packets := layOut(slices.Repeat([][]byte{random(64)}, 9)...)
		before := slices.Clone(buf)
		for _, run := range []func([]Part){Seal, func(parts []Part) { Open(parts) }} {
			func() {
				defer func() {
					if recover() == nil {
						t.Error("a key that is not set does not panic")
					}
				}()
				run([]Part{{newKey([KeySize]byte{1}), buf, packets[:8]}, {bad, buf, packets[8:]}})
			}()
			if !bytes.Equal(buf, before) {
				t.Error("packets were changed before the panic")
			}
		}
	}
}

// A forged packet is zeroed after its header, gets Len 0, and does not affect
// its neighbours. Every byte of a packet is checked except the first 8.
func TestForgery(t *testing.T) { eachKernel(t, testForgery) }

func testForgery(t *testing.T) {
	k := newKey([KeySize]byte(random(KeySize)))
	plaintexts := [][]byte{random(100), random(100), random(100), random(37)}
	sealed, packets := layOut(plaintexts...)
	k.Seal(sealed, packets, 7)
	for victim, v := range packets {
		for at := int32(8); at < v.Len; at++ {
			buf, got := slices.Clone(sealed), slices.Clone(packets)
			buf[v.Off+at] ^= 1 << (at % 8)
			header := slices.Clone(buf[v.Off : v.Off+HeaderSize])
			if failed := k.Open(buf, got); failed != 1 || got[victim].Len != 0 {
				t.Fatalf("packet %d with byte %d changed: %d failed", victim, at, failed)
			}
			if !bytes.Equal(buf[v.Off:v.Off+HeaderSize], header) || !zero(buf[v.Off+HeaderSize:v.Off+v.Len]) {
				t.Fatalf("packet %d with byte %d changed is not zeroed", victim, at)
			}
			for i, p := range got {
				if i != victim && !bytes.Equal(p.in(buf)[HeaderSize:p.Len-TagSize], plaintexts[i]) {
					t.Fatalf("packet %d does not open because packet %d was changed", i, victim)
				}
			}
		}
	}
}

// A1: a packet shorter than header and tag fails, and nothing outside it is
// read or written.
func TestTooShort(t *testing.T) { eachKernel(t, testTooShort) }

func testTooShort(t *testing.T) {
	k := newKey([KeySize]byte(random(KeySize)))
	for length := int32(1); length < MinSize; length++ {
		buf := bytes.Repeat([]byte{0xee}, 48)
		packets := []Packet{{8, length}}
		if k.Open(buf[:8+length], packets) != 1 || packets[0].Len != 0 {
			t.Fatalf("a packet of %d bytes opens", length)
		}
		if !zero(buf[min(8+HeaderSize, 8+length):8+length]) || zero(buf[8+length:8+length+1]) || zero(buf[:8]) {
			t.Fatalf("a packet of %d bytes: Open must zero it after its header, and nothing else", length)
		}
	}
}

// A packet that ends after the length of its buffer is not touched, even where
// the buffer has the capacity: each function panics.
func TestPastTheEnd(t *testing.T) { eachKernel(t, testPastTheEnd) }

func testPastTheEnd(t *testing.T) {
	k, before := newKey([KeySize]byte(random(KeySize))), random(200)
	for name, call := range map[string]func(buf []byte, packets []Packet){
		"Key.Seal": func(buf []byte, packets []Packet) { k.Seal(buf, packets, 0) },
		"Key.Open": func(buf []byte, packets []Packet) { k.Open(buf, packets) },
		"Seal":     func(buf []byte, packets []Packet) { Seal([]Part{{k, buf, packets}}) },
		"Open":     func(buf []byte, packets []Packet) { Open([]Part{{k, buf, packets}}) },
		"Discard":  func(buf []byte, packets []Packet) { packets[0].Discard(buf) },
	} {
		for _, p := range []Packet{{90, 64}, {69, 32}, {100, 32}, {120, 50}, {90, MinSize - 1}} {
			buf := bytes.Clone(before)
			panicked := panics(func() { call(buf[:100], []Packet{p}) })
			if !bytes.Equal(buf, before) {
				t.Errorf("%s changes packet %v of a buffer of 100 bytes", name, p)
			}
			if !panicked {
				t.Errorf("%s does not panic for packet %v of a buffer of 100 bytes", name, p)
			}
		}
	}
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

// A35: Erase zeroes the array with the key and drops the cipher.
func TestErase(t *testing.T) {
	k := newKey([KeySize]byte(random(KeySize)))
	k.Erase()
	if !zero(k.bytes[:]) || k.one != nil {
		t.Error("Erase leaves a part of the key")
	}
}

func zero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

// FuzzOpen passes arbitrary data to Open: nothing that was not sealed must
// open.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, uint16(0))
	f.Add(make([]byte, 200), uint16(32))
	f.Add(make([]byte, 1500), uint16(148))
	f.Fuzz(func(t *testing.T, buf []byte, stride uint16) {
		k := newKey([KeySize]byte{1})
		var packets []Packet
		for off := 0; off < len(buf) && stride > 0; off += int(stride) {
			packets = append(packets, Packet{int32(off), int32(min(int(stride), len(buf)-off))})
		}
		if k.Open(buf, packets) != len(packets) {
			t.Fatal("a forgery opened")
		}
	})
}
