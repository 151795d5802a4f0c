package pcapng

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// random returns a capture with n packets, and what is in it. Packets begin with an IPv4
// header.
func random(rng *rand.Rand, n int) (raw []byte, packets []Packet, statistics []Statistics) {
	raw = AppendSection(nil, &Section{Application: "a test", Comment: "peer ά"})
	raw = AppendInterface(raw, &Interface{Name: "wg0 outer", Description: "outside"})
	raw = AppendInterface(raw, &Interface{Name: "wg0 inner"})
	now := int64(1_790_000_000_123_456_789)
	statistics = []Statistics{{Interface: 0, Start: now}, {Interface: 1, Start: now, Dropped: 1 << 40}}
	for range n {
		now += rng.Int64N(3e9)
		p := Packet{
			Interface: rng.Uint32N(2), Time: now, Direction: Direction(1 + rng.Uint32N(2)),
			Comment: strings.Repeat("c", rng.IntN(7)), Data: make([]byte, 20+rng.IntN(2000)),
		}
		for i := range p.Data {
			p.Data[i] = byte(rng.Uint32())
		}
		copy(p.Data, []byte{0x45, 0, byte(len(p.Data) >> 8), byte(len(p.Data))})
		if rng.IntN(4) == 0 {
			p.Drops = rng.Uint64N(1 << 20)
			statistics[p.Interface].Dropped += p.Drops
		}
		statistics[p.Interface].Received++
		packets = append(packets, p)
		raw = AppendPacket(raw, &p)
	}
	for i := range statistics {
		s := &statistics[i]
		s.End = now + 1
		s.Received += s.Dropped
		raw = AppendStatistics(raw, s)
	}
	return raw, packets, statistics
}

// TestReadsWhatItWrites: all packets and statistics can be read, and the blocks together
// are the capture.
func TestReadsWhatItWrites(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	raw, packets, statistics := random(rand.New(rand.NewPCG(seed, 0)), 200)
	r := NewReader(bytes.NewReader(raw))
	var all []byte
	var gotPackets []Packet
	var gotStatistics []Statistics
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b.Raw...)
		if p, ok := b.Packet(); ok {
			p.Data = bytes.Clone(p.Data)
			gotPackets = append(gotPackets, p)
		}
		if s, ok := b.Statistics(); ok {
			gotStatistics = append(gotStatistics, s)
		}
	}
	if !bytes.Equal(all, raw) {
		t.Error("the blocks together are not the capture")
	}
	if !reflect.DeepEqual(gotPackets, packets) {
		t.Error("the packets are not those that were written")
	}
	if !reflect.DeepEqual(gotStatistics, statistics) {
		t.Errorf("the statistics are %+v, want %+v", gotStatistics, statistics)
	}
}

// TestCutCapture: the end within a block is an error, and the end between two is not.
func TestCutCapture(t *testing.T) {
	raw, _, _ := random(rand.New(rand.NewPCG(1, 2)), 2)
	for n := range len(raw) {
		r := NewReader(bytes.NewReader(raw[:n]))
		whole := 0
		var err error
		for err == nil {
			var b Block
			b, err = r.Next()
			whole += len(b.Raw)
		}
		if want := map[bool]error{true: io.EOF, false: io.ErrUnexpectedEOF}[whole == n]; err != want {
			t.Fatalf("cut after %d bytes: %v, want %v", n, err, want)
		}
	}
}

// TestDamagedBlocks: lengths that cannot be right are refused.
func TestDamagedBlocks(t *testing.T) {
	good := AppendStatistics(nil, &Statistics{})
	for name, damage := range map[string]func(b []byte){
		"shorter than a block":   func(b []byte) { b[4] = 8 },
		"not a multiple of four": func(b []byte) { b[4]++ },
		"too long":               func(b []byte) { b[7] = 0x10 },
		"lengths that differ":    func(b []byte) { b[len(b)-4] += 4 },
	} {
		b := bytes.Clone(good)
		damage(b)
		if _, err := NewReader(bytes.NewReader(b)).Next(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLongTexts: texts are cut, so that every block stays short enough to be read.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, raw := range [][]byte{
		AppendSection(nil, &Section{Application: long, Comment: long}),
		AppendInterface(nil, &Interface{Name: long, Description: long}),
		AppendPacket(nil, &Packet{Comment: long, Data: make([]byte, 65535)}),
	} {
		if _, err := NewReader(bytes.NewReader(raw)).Next(); err != nil {
			t.Error(err)
		}
	}
}

// FuzzReader: whatever is read, the blocks are a prefix of it, and their contents are
// within them.
func FuzzReader(f *testing.F) {
	raw, _, _ := random(rand.New(rand.NewPCG(3, 4)), 3)
	f.Add(raw)
	f.Add(raw[:100])
	f.Add([]byte{6, 0, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4, 16, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := NewReader(bytes.NewReader(raw))
		at := 0
		for {
			b, err := r.Next()
			if err != nil {
				return
			}
			if !bytes.Equal(raw[at:at+len(b.Raw)], b.Raw) {
				t.Fatal("a block is not what was read")
			}
			at += len(b.Raw)
			if p, ok := b.Packet(); ok && len(p.Data)+len(p.Comment) > len(b.Raw) {
				t.Fatal("a packet is longer than its block")
			}
			b.Statistics()
		}
	})
}
