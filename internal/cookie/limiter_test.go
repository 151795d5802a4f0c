package cookie

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"wgd/internal/clock"
)

var source1 = netip.MustParseAddr("192.0.2.1")

func number(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// A29: 5 at once, then one every 50 ms, and the full burst again after a pause.
func TestLimiterRate(t *testing.T) {
	var l Limiter
	now := start
	count := func(after time.Duration, tries, want int) {
		t.Helper()
		now = now.Add(after)
		got := 0
		for range tries {
			if l.Allow(now, source1) {
				got++
			}
		}
		if got != want {
			t.Errorf("%v later: allowed %d of %d, want %d", after, got, tries, want)
		}
	}
	count(0, 10, 5)
	count(perHandshake-1, 3, 0)
	count(1, 3, 1)
	count(2*perHandshake, 3, 2)
	count(900*time.Millisecond, 10, 5)
	count(time.Hour, 10, 5)
	count(-time.Second, 10, 0) // B16: a clock that goes back adds no tokens and does no harm
	count(2*time.Second, 10, 5)
}

// A29: an IPv4 address, mapped or not, and an IPv6 /64 are one source each.
func TestLimiterSources(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff::9", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"0.0.0.0", "::", false},
		{"0.0.0.1", "0:0:0:1::", false},
	} {
		var l Limiter
		for range 5 {
			l.Allow(start, netip.MustParseAddr(c.a))
		}
		if got := !l.Allow(start, netip.MustParseAddr(c.b)); got != c.same {
			t.Errorf("%s and %s are one source: got %t, want %t", c.a, c.b, got, c.same)
		}
	}
}

// A29: at most 65,536 sources; new ones are denied, known ones are still allowed,
// and sources idle for a second are removed.
func TestLimiterIsBounded(t *testing.T) {
	var l Limiter
	for i := range uint32(maxSources) {
		if !l.Allow(start, number(i)) {
			t.Fatalf("source %d denied", i)
		}
	}
	half := start.Add(500 * time.Millisecond)
	if l.Allow(half, number(1<<20)) || len(l.at) != maxSources {
		t.Errorf("one too many was allowed; %d are known", len(l.at))
	}
	if !l.Allow(half, number(7)) {
		t.Error("a known source is denied")
	}
	later := start.Add(idleAfter)
	if !l.Allow(later, number(1<<20)) {
		t.Error("a new source is denied though others are idle")
	}
	if _, known := l.at[sourceOf(number(7))]; !known {
		t.Error("a source that was not idle was removed")
	}
	if l.Expire(later.Add(idleAfter)); len(l.at) != 0 || l.slots != nil {
		t.Errorf("%d sources are left when all are idle", len(l.at))
	}
}

// The limiter agrees with a simple model: a token bucket for each address in a
// map. Only the time of expiry may differ, and with A29's figures a full bucket
// is equivalent to none.
func TestLimiterAgainstModel(t *testing.T) {
	type bucket struct {
		last   clock.Time
		tokens time.Duration
	}
	dice := rand.New(rand.NewPCG(1, 2))
	var l Limiter
	model, now := map[netip.Addr]*bucket{}, start
	for step := range 50_000 {
		now = now.Add(time.Duration(dice.IntN(int(30 * time.Millisecond))))
		addr := number(uint32(dice.IntN(40)))
		b := model[addr]
		if b == nil {
			b = &bucket{now, burst}
			model[addr] = b
		}
		b.tokens = min(burst, b.tokens+now.Sub(b.last))
		b.last = now
		want := b.tokens >= perHandshake
		if want {
			b.tokens -= perHandshake
		}
		if got := l.Allow(now, addr); got != want {
			t.Fatalf("step %d: got %t, want %t", step, got, want)
		}
		checkList(t, &l)
	}
}

// checkList checks that each slot is either in the list and the map, or free.
func checkList(t *testing.T, l *Limiter) {
	t.Helper()
	n, before := 0, nowhere
	for i := l.oldest; i != nowhere; i = l.slots[i].newer {
		if l.slots[i].older != before || l.at[l.slots[i].from] != i {
			t.Fatal("the list is broken")
		}
		if before != nowhere && l.slots[before].last > l.slots[i].last {
			t.Fatal("the list is out of order")
		}
		before = i
		n++
	}
	free := 0
	for i := l.free; i != nowhere; i = l.slots[i].newer {
		free++
	}
	if n != len(l.at) || n+free != len(l.slots) || before != l.newest {
		t.Fatalf("%d in the list, %d in the map, %d free, %d slots", n, len(l.at), free, len(l.slots))
	}
}
