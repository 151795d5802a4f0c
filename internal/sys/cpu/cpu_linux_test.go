package cpu

import (
	"testing"
	"time"
)

const sample = `cpu  1018656 6277 248459 1055434 4484 0 18938 22578 0 0
cpu0 505968 2617 123441 533481 1069 0 9520 11209 0 0
cpu1 512687 3659 125018 521953 3414 0 9418 11369 0 0
cpu17 1 2 3 4 5 6 7 8 9 10
intr 59830517 0 0
cpu3 1 2 3 4 5
`

func TestParse(t *testing.T) {
	all := func(int) bool { return true }
	for name, c := range map[string]struct {
		text    string
		allowed func(int) bool
		ticks   int
		ok      bool
	}{
		"all":          {sample, all, 533481 + 1069 + 521953 + 3414 + 4 + 5, true},
		"one":          {sample, func(n int) bool { return n == 1 }, 521953 + 3414, true},
		"none":         {sample, func(int) bool { return false }, 0, false},
		"empty":        {"", all, 0, false},
		"the sum only": {"cpu  1 2 3 4 5 6\n", all, 0, false},
		"cut short":    {"cpu0 1 2 3 4", all, 0, false},
		"no number":    {"cpu0 1 2 3 four 5 6\n", all, 0, false},
		"no CPU":       {"cpux 1 2 3 4 5 6\n", all, 0, false},
		"bare":         {"cpu", all, 0, false},
	} {
		idle, ok := parse([]byte(c.text), c.allowed)
		if want := time.Duration(c.ticks) * tick; ok != c.ok || ok && idle != want {
			t.Errorf("%s: parse: got %v, %v, want %v, %v", name, idle, ok, want, c.ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("cpu0 18446744073709551615 0 0 281474976710655 281474976710655\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if idle, ok := parse(text, func(n int) bool { return n >= 0 && n < 1024 }); !ok && idle != 0 {
			t.Errorf("parse failed, but returned %v", idle)
		}
	})
}

// A process that computes uses processor time of its own, and idle time never
// decreases.
func TestRead(t *testing.T) {
	before, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
	}
	after, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	if used := after.Own - before.Own; used <= 0 || after.Idle < before.Idle {
		t.Errorf("after computing for 50 ms: %v of our own time, %v idle", used, after.Idle-before.Idle)
	}
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		if _, err := Read(); err != nil {
			b.Fatal(err)
		}
	}
}
