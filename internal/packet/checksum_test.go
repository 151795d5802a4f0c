package packet

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestSumAgainstRFC1071(t *testing.T) {
	for _, pattern := range [][]byte{{0}, {0xff}, {1, 2, 3, 4, 5, 6, 7}, {0xff, 0xff, 0xff, 0xfe}} {
		for n := range 300 {
			b := bytes.Repeat(pattern, n/len(pattern)+1)[:n]
			checkSum(t, b)
		}
		checkSum(t, bytes.Repeat(pattern, 70000/len(pattern)))
	}
}

// Vector instructions add words as signed numbers. Try the extremes of both
// signs, with every length of the rest after the last whole block, and any
// alignment.
func TestSumInVectors(t *testing.T) {
	for _, pattern := range [][]byte{{0}, {0xff}, {0x7f, 0xff}, {0x80, 0}, {0, 0x80}, {0xff, 0x7f}, fill(1009)} {
		all := bytes.Repeat(pattern, 1_000_000/len(pattern)+1)
		for n := 120; n < 900; n++ {
			checkSum(t, all[n%61:][:n])
		}
		checkSum(t, all[1:][:65535])
		checkSum(t, all[:999_999])
	}
}

func FuzzSum(f *testing.F) {
	f.Add([]byte{1})
	f.Add(bytes.Repeat([]byte{0xff}, 129))
	f.Fuzz(func(t *testing.T, b []byte) { checkSum(t, b) })
}

func checkSum(t *testing.T, b []byte) {
	t.Helper()
	var got [2]byte
	putSum(got[:], fold(sum(b, 0)))
	if want := slowSum(b); binary.BigEndian.Uint16(got[:]) != want {
		t.Fatalf("sum of %d bytes %x… = %x, want %04x", len(b), b[:min(len(b), 16)], got, want)
	}
}

func TestSumIncremental(t *testing.T) {
	b := fill(200)
	for cut := 0; cut <= len(b); cut += 2 {
		if fold(sum(b[cut:], sum(b[:cut], 0))) != fold(sum(b, 0)) {
			t.Fatalf("the sum in two parts, cut at %d, differs from that of the whole", cut)
		}
	}
}

func TestSumCarries(t *testing.T) {
	// The highest values in the accumulator and in the words.
	b := bytes.Repeat([]byte{0xff}, 640)
	for _, ac := range []uint64{0, 1, 1<<64 - 2, 1<<64 - 1} {
		want := fold(ac)
		if want == 0 {
			want = 0xffff // the same in one's complement
		}
		if got := fold(sum(b, ac)); got != want {
			t.Errorf("the sum added to %x is %x, want %x", ac, got, want)
		}
	}
}

func BenchmarkSum1420(b *testing.B) {
	p := fill(1420)
	b.SetBytes(1420)
	for b.Loop() {
		sum(p, 0)
	}
}
