package replay

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// limit is RejectAfterMessages (A37), the first counter that is never used.
const limit uint64 = 1<<64 - 1<<13 - 1

// steps is a sequence of counters and whether each is accepted.
type steps []struct {
	counter  uint64
	accepted bool
}

func (s steps) run(t *testing.T) {
	t.Helper()
	var w Window
	for i, step := range s {
		if got := w.Accept(step.counter); got != step.accepted {
			t.Fatalf("step %d: Accept(%d) = %v, want %v", i, step.counter, got, step.accepted)
		}
	}
}

// A38, B34: the first counter is 0, and it is accepted once.
func TestCounterZero(t *testing.T) {
	steps{{0, true}, {0, false}, {1, true}, {0, false}, {1, false}}.run(t)
	steps{{5, true}, {0, true}, {0, false}}.run(t)
}

// A38, B34: the oldest counter that is accepted is 8,128 behind the greatest, at
// any position of the greatest in its word.
func TestEdgeOfTheWindow(t *testing.T) {
	for greatest := uint64(3 * bits); greatest < 3*bits+2*wordBits; greatest++ {
		steps{
			{greatest, true},
			{greatest - Size - 1, false},
			{greatest - Size, true},
			{greatest - Size, false},
			{greatest - Size + 1, true},
			{greatest - 1, true},
			{greatest, false},
		}.run(t)
	}
}

// A38, B34: the whole window is usable: 8,128 counters are accepted in reverse
// order, and then none again.
func TestReverseOrder(t *testing.T) {
	var w Window
	w.Accept(Size)
	for c := Size - 1; c >= 0; c-- {
		if !w.Accept(uint64(c)) {
			t.Fatalf("counter %d, late by %d, was refused", c, Size-c)
		}
	}
	for c := range uint64(Size + 1) {
		if w.Accept(c) {
			t.Fatalf("counter %d was accepted twice", c)
		}
	}
}

// A38: a jump of any length forgets exactly the counters that leave the window.
func TestJumps(t *testing.T) {
	for _, jump := range []uint64{1, 63, 64, 65, Size - 1, Size, Size + 1, bits - 1, bits, bits + 1, 10 * bits, 1 << 40} {
		var w Window
		for c := range uint64(200) {
			w.Accept(c)
		}
		greatest := 199 + jump
		if !w.Accept(greatest) {
			t.Fatalf("jump of %d was refused", jump)
		}
		for c := range uint64(200) {
			if w.Accept(c) {
				t.Fatalf("after a jump of %d, counter %d was accepted again", jump, c)
			}
		}
		for c := max(200, greatest-min(greatest, Size)); c < greatest; c++ {
			if !w.Accept(c) {
				t.Fatalf("after a jump of %d, counter %d was refused", jump, c)
			}
		}
	}
}

// A38: nothing overflows near RejectAfterMessages or above it.
func TestNearTheLimit(t *testing.T) {
	steps{
		{limit - 1, true},
		{limit - 1, false},
		{limit - 1 - Size, true},
		{limit - 1 - Size, false},
		{limit - 2 - Size, false},
		{0, false},
		{Size, false},
		{limit - 2, true},
	}.run(t)
	steps{
		{math.MaxUint64 - 1, true},
		{math.MaxUint64, true},
		{math.MaxUint64, false},
		{math.MaxUint64 - Size, true},
		{math.MaxUint64 - Size - 1, false},
		{0, false},
		{1, false},
	}.run(t)
	steps{{0, true}, {math.MaxUint64, true}, {0, false}, {bits, false}}.run(t)
}

// A38: random sequences agree with a set of all counters ever accepted.
func TestAgainstASet(t *testing.T) {
	dice := rand.New(rand.NewPCG(38, 34))
	for range 200 {
		var w Window
		m := model{seen: map[uint64]bool{}}
		at := dice.Uint64N(1 << 20)
		if dice.IntN(4) == 0 {
			at = math.MaxUint64 - dice.Uint64N(1<<16)
		}
		for range 3000 {
			c := at
			switch dice.IntN(8) {
			case 0:
				c += dice.Uint64N(3 * bits)
			case 1:
				c -= dice.Uint64N(3 * bits)
			case 2:
				c -= dice.Uint64N(Size + 2)
			case 3:
				c = dice.Uint64()
				if dice.IntN(50) != 0 {
					c = at
				}
			default:
				c += dice.Uint64N(4)
			}
			if dice.IntN(4) == 0 {
				checkRun(t, &w, &m, c, 1+dice.IntN(300))
			} else if want := m.accept(c); w.Accept(c) != want {
				t.Fatalf("Accept(%d) = %v, want %v; the greatest is %d", c, !want, want, m.greatest)
			}
			at = m.greatest
		}
	}
}

// model does what a Window must do, by remembering all counters.
type model struct {
	greatest uint64
	seen     map[uint64]bool
}

func (m *model) accept(c uint64) bool {
	if m.seen[c] || c < m.greatest && m.greatest-c > Size {
		return false
	}
	m.seen[c] = true
	m.greatest = max(m.greatest, c)
	return true
}

// checkRun passes a run of counters to both. AcceptRun must accept it if all of
// them are greater than any that the model has.
func checkRun(t *testing.T, w *Window, m *model, first uint64, n int) {
	t.Helper()
	last := first + uint64(n) - 1
	want := first > m.greatest && last >= first && n <= Size
	if w.AcceptRun(first, n) != want {
		t.Fatalf("AcceptRun(%d, %d) = %v, want %v; the greatest is %d", first, n, !want, want, m.greatest)
	}
	for i := range n {
		if want && !m.accept(first+uint64(i)) {
			t.Fatalf("AcceptRun(%d, %d) accepted counter %d again", first, n, first+uint64(i))
		}
	}
}

// A38: AcceptRun accepts exactly the counters of the run, and none before or
// after it, at all lengths and from any position in a word.
func TestRuns(t *testing.T) {
	for _, n := range []int{1, 2, 63, 64, 65, 127, 128, 129, Size - 1, Size, Size + 1, bits, 3 * bits} {
		for first := uint64(10 * bits); first < 10*bits+wordBits; first += 9 {
			w, m := Window{}, model{seen: map[uint64]bool{}}
			checkRun(t, &w, &m, first-2*wordBits, 3)
			checkRun(t, &w, &m, first, n)
			for c := m.greatest + wordBits; c >= first-3*wordBits; c-- {
				if want := m.accept(c); w.Accept(c) != want {
					t.Fatalf("after a run of %d from %d on, Accept(%d) = %v, want %v", n, first, c, !want, want)
				}
			}
		}
	}
}

// FuzzWindow reads 8 bytes as the first counter, then 3 bytes for each further
// one: the direction from the greatest counter, and the distance.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0})
	f.Add(binary.LittleEndian.AppendUint64(nil, limit))
	f.Add(append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), 1, 0xc0, 0x1f, 1, 0xc1, 0x1f, 0, 1, 0))
	f.Fuzz(func(t *testing.T, sequence []byte) {
		if len(sequence) < 8 {
			return
		}
		var w Window
		m := model{seen: map[uint64]bool{}}
		c := binary.LittleEndian.Uint64(sequence)
		for rest := sequence[8:]; ; rest = rest[3:] {
			if want := m.accept(c); w.Accept(c) != want {
				t.Fatalf("Accept(%d) = %v, want %v; the greatest is %d", c, !want, want, m.greatest)
			}
			if len(rest) < 3 {
				return
			}
			c = m.greatest
			distance := uint64(binary.LittleEndian.Uint16(rest[1:]))
			switch rest[0] % 4 {
			case 0:
				c += distance
			case 1:
				c -= distance
			case 2:
				c += distance << 48
			case 3:
				c += wordBits*distance - 1
			}
		}
	})
}

func BenchmarkAcceptInOrder(b *testing.B) {
	var w Window
	for c := uint64(0); b.Loop(); c++ {
		w.Accept(c)
	}
}
