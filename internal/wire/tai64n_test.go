package wire

import (
	"encoding/hex"
	"testing"
	"time"
)

// A3, A17: stamps are big-endian, begin at 2^62 + 10 in Unix time, and have
// nanoseconds rounded down to multiples of 2^24.
func TestStampAt(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{time.Unix(0, 0), "400000000000000a00000000"},
		{time.Unix(0, 1<<24-1), "400000000000000a00000000"},
		{time.Unix(0, 1<<24), "400000000000000a01000000"},
		{time.Unix(1, 999_999_999), "400000000000000b3b000000"},
		{time.Unix(1_700_000_000, 123_456_789), "400000006553f10a07000000"},
		{time.Unix(1<<33, 0), "400000020000000a00000000"}, // after 2038 and 2106
		{time.Unix(-1, 0), "400000000000000900000000"},    // B16: a clock before 1970
	} {
		s := StampAt(c.at)
		if got := hex.EncodeToString(s[:]); got != c.want {
			t.Errorf("%v: %s, want %s", c.at, got, c.want)
		}
	}
	if got := StampAt(time.Unix(5, 0).In(time.FixedZone("", 3600))); got != StampAt(time.Unix(5, 0)) {
		t.Error("the stamp depends on the time zone")
	}
}

// A17: there are at most 60 different stamps per second.
func TestStampsAreCoarse(t *testing.T) {
	seen := map[TAI64N]bool{}
	for ns := 0; ns < 1_000_000_000; ns += 100_003 {
		seen[StampAt(time.Unix(7, int64(ns)))] = true
	}
	if len(seen) != 60 {
		t.Errorf("got %d different stamps in a second, want 60", len(seen))
	}
}

// A18: stamps are ordered bytewise, strictly.
func TestStampOrder(t *testing.T) {
	rising := []TAI64N{
		{}, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, StampAt(time.Unix(-5, 0)), StampAt(time.Unix(0, 0)),
		StampAt(time.Unix(0, 1<<24)), StampAt(time.Unix(1, 0)), StampAt(time.Unix(255, 0)), StampAt(time.Unix(256, 0)),
		{0x80}, {0xff},
	}
	for i, a := range rising {
		for j, b := range rising {
			if a.After(b) != (i > j) || (a.Compare(b) < 0) != (i < j) || (a.Compare(b) == 0) != (i == j) {
				t.Errorf("wrong order of %x and %x", a, b)
			}
		}
	}
	if !rising[0].IsZero() || rising[1].IsZero() {
		t.Error("IsZero is wrong")
	}
}

// A20: Next is later by one granule, the least that A17 allows.
func TestNext(t *testing.T) {
	s := StampAt(time.Unix(9, 0))
	for range 200 {
		n := s.Next()
		if !n.After(s) {
			t.Fatalf("%x is not after %x", n, s)
		}
		s = n
	}
	// 60 granules begin in each second.
	if want := StampAt(time.Unix(9+200/60, 200%60<<24)); s != want {
		t.Errorf("got %x, want %x", s, want)
	}
	for _, c := range []struct{ from, want string }{
		{"400000000000000a00000001", "400000000000000a01000000"}, // not rounded, from a file
		{"400000000000000a3b000000", "400000000000000b00000000"},
		{"400000000000000affffffff", "400000000000000b00000000"}, // more than a second
		{"40000000ffffffff3b9ac9ff", "400000010000000000000000"},
		{"ffffffffffffffffffffffff", "ffffffffffffffffffffffff"},
	} {
		b, err := hex.DecodeString(c.from)
		if err != nil {
			t.Fatal(err)
		}
		n := TAI64N(b).Next()
		if got := hex.EncodeToString(n[:]); got != c.want {
			t.Errorf("Next of %s is %s, want %s", c.from, got, c.want)
		}
	}
}

// A20: Add returns a stamp some time ahead.
func TestAdd(t *testing.T) {
	for _, c := range []struct {
		from string
		d    time.Duration
		want string
	}{
		{"400000000000000a01000000", 0, "400000000000000a01000000"},
		{"400000000000000a01000000", time.Minute, "400000000000004601000000"},
		{"400000000000000a01000000", 4 << 24, "400000000000000a05000000"},
		{"400000000000000a01000000", 1<<24 + 1, "400000000000000a02000000"}, // rounded down
		{"400000000000000a3b000000", 1 << 24, "400000000000000b00000000"},
		{"400000000000000affffffff", time.Second, "400000000000000f11000000"}, // from a file: 4.29 s of nanoseconds, and 1 s more
		{"400000000000000a00000001", 0, "400000000000000a00000001"},           // not rounded down to before the stamp
		{"fffffffffffffffe3b000000", time.Second, "ffffffffffffffff3b000000"},
		{"ffffffffffffffff3b000000", time.Second, "ffffffffffffffff3b000000"},
	} {
		b, err := hex.DecodeString(c.from)
		if err != nil {
			t.Fatal(err)
		}
		n := TAI64N(b).Add(c.d)
		if got := hex.EncodeToString(n[:]); got != c.want {
			t.Errorf("%s plus %v is %s, want %s", c.from, c.d, got, c.want)
		}
	}
	now := time.Unix(1_700_000_000, 999_999_999)
	for d := time.Duration(0); d < 3*time.Second; d += granule {
		if got, want := StampAt(now).Add(d), StampAt(now.Add(d)); want.After(got.Next()) || got.After(want) {
			t.Fatalf("%x plus %v is %x, want %x or one granule less", StampAt(now), d, got, want)
		}
	}
}

// A20: Next of any stamp, also of one from a peer or a damaged file, is after it
// and rounded.
func FuzzNext(f *testing.F) {
	f.Add(make([]byte, 12))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3b, 0x9a, 0xca, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != TAI64NSize {
			return
		}
		s := TAI64N(b)
		n := s.Next()
		if n == s && s[0] == 0xff {
			return // the greatest stamp
		}
		if !n.After(s) || n[9]|n[10]|n[11] != 0 {
			t.Fatalf("Next of %x is %x", s, n)
		}
	})
}
