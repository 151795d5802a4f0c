package names_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/internal/clock"
)

// Many peers that are silent do not make a storm: a name is looked up again after
// 10 s, and then every 15 s, however many peers have it.
func TestSilentPeersShareLookups(t *testing.T) {
	b := newBench(t)
	const peers = 1000
	for n := range peers {
		b.Set(b.now, id(n), "a.example", 7, netip.AddrPort{})
	}
	b.expectAsks("all have one name", "a.example")
	b.answer("a.example", 3600, "192.0.2.1")
	if len(b.uses) != peers {
		t.Errorf("%d peers have an address, want %d", len(b.uses), peers)
	}
	b.after(time.Minute)
	var at []string
	for second := range 61 {
		for n := range peers {
			b.Unanswered(b.now, id(n))
		}
		if b.drain(); len(b.asks) > 0 {
			at = append(at, fmt.Sprint(second))
			b.asks = nil
			b.answer("a.example", 3600, "192.0.2.1")
		}
		b.after(time.Second)
	}
	if got, want := strings.Join(at, " "), "0 10 25 40 55"; got != want {
		t.Errorf("the name is looked up at the seconds %s, want %s", got, want)
	}
	for _, c := range []struct {
		what string
		do   func()
		want string
	}{
		{"nothing", func() {}, ""},
		{"a sign of life", func() { b.Heard(id(7), addrPort("192.0.2.1:7")) }, "a.example"},
		{"another answer", func() { b.answer("a.example", 3600, "192.0.2.2") }, "a.example"},
	} {
		b.after(time.Minute) // the name is looked up for the others, which are silent
		b.Unanswered(b.now, id(7))
		b.drain()
		b.answer("a.example", 3600, "192.0.2.1")
		b.after(time.Minute)
		for range 3 {
			b.Unanswered(b.now, id(7))
			b.after(15 * time.Second)
			b.answer("a.example", 3600, "192.0.2.1")
		}
		b.Unanswered(b.now, id(7))
		b.drain()
		c.do()
		b.answer("a.example", 3600, "192.0.2.1")
		b.asks = nil
		b.after(5 * time.Second)
		b.Unanswered(b.now, id(7))
		if got := strings.Join(b.asksNow(), " "); got != c.want {
			t.Errorf("5 s after a lookup and %s: names looked up: %q, want %q", c.what, got, c.want)
		}
	}
}

// asksNow returns what is to be looked up now.
func (b *bench) asksNow() []string {
	b.drain()
	defer func() { b.asks = nil }()
	return b.asks
}

// 100,000 peers with as many names: 16 lookups at a time, 200 a second, every name
// once; what a silent peer needs comes first.
func TestManyNames(t *testing.T) {
	b := newBench(t)
	const peers = 100_000
	name := func(n int) string { return fmt.Sprintf("host%d.example", n) }
	for n := range peers {
		b.Set(b.now, id(n), name(n), 7, netip.AddrPort{})
	}
	if b.drain(); len(b.asks) != 16 {
		t.Errorf("%d lookups at once, want 16", len(b.asks))
	}
	seen := map[string]bool{}
	running := 0
	for begin := b.now; len(seen) < peers; {
		asks := b.asks
		b.asks = nil
		running += len(asks)
		if running > 16 {
			t.Fatalf("%d lookups at the same time", running)
		}
		for _, name := range asks {
			if seen[name] {
				t.Fatalf("%s was looked up twice", name)
			}
			seen[name] = true
			b.answer(name, 3600, "192.0.2.1")
			running--
		}
		if limit := 100 + 16 + int(b.now.Sub(begin)/(5*time.Millisecond)); len(seen) > limit {
			t.Fatalf("%d lookups within %v", len(seen), b.now.Sub(begin))
		}
		if len(b.asks) == 0 && len(seen) < peers {
			b.after(b.NextTimeout().Sub(b.now))
		}
	}
	if took := b.now.Sub(start); took > 501*time.Second {
		t.Errorf("it took %v, want at most 500 s", took)
	}
	if len(b.uses) != peers {
		t.Errorf("%d peers have an address", len(b.uses))
	}
	b.after(5 * time.Second)
	b.NetworkChanged(b.now)
	b.drain()
	b.Unanswered(b.now, id(99_999))
	b.answer(b.asks[0], 3600, "192.0.2.1")
	if got := b.asks[len(b.asks)-1]; len(b.asks) != 17 || got != name(99_999) {
		t.Errorf("after %d lookups for a change of the network, that of a silent peer is next, not %s", len(b.asks)-1, got)
	}
	for n := range peers {
		b.Remove(id(n))
	}
	for _, name := range b.asks {
		b.answer(name, 3600, "192.0.2.1")
	}
	if at := b.NextTimeout(); at != clock.Never {
		t.Errorf("without peers there is a timeout, at %v", at.Sub(start))
	}
}

// A changed record is in use within the lesser of its TTL and 15 s of silence, with
// name servers that answer slowly, fail now and then, and keep answers or not. The
// peer is silent if its old address is dead, and not if it still answers there.
func TestChangedRecordInTime(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		ttl := time.Duration(1+r.IntN(120)) * time.Second
		dead, keeps := r.IntN(2) == 0, r.IntN(2) == 0
		changes := start.Add(time.Duration(r.Int64N(int64(300 * time.Second))))
		record := func(at clock.Time) string {
			if at >= changes {
				return "192.0.2.2"
			}
			return "192.0.2.1"
		}
		b := newBench(t)
		b.Set(b.now, id(1), "a.example", 7, netip.AddrPort{})
		b.drain()
		var kept struct { // what a caching name server has
			addr string
			ends clock.Time
		}
		var answers clock.Time // when the name server answers
		var known string
		var rest time.Duration
		silent, moved := false, clock.Time(0)
		for moved == 0 && b.now < changes.Add(200*time.Second) {
			if len(b.asks) > 0 {
				b.asks = nil
				if !keeps || b.now >= kept.ends {
					kept.addr, kept.ends = record(b.now), b.now.Add(ttl)
				}
				known, rest = kept.addr, kept.ends.Sub(b.now)
				answers = b.now.Add(time.Duration(r.Int64N(int64(2 * time.Second))))
			}
			for _, u := range b.uses {
				if strings.Contains(u, "192.0.2.2") {
					moved = b.now
				}
			}
			b.uses = nil
			b.after(100 * time.Millisecond)
			if answers != 0 && b.now >= answers {
				answers = 0
				if b.now < changes && r.IntN(4) == 0 {
					b.Failed(b.now, "a.example", 0, "no answer")
				} else {
					b.answer("a.example", int(rest/time.Second), known)
				}
				b.drain()
			}
			if dead && !silent && b.now >= changes.Add(10*time.Second) {
				silent = true
				b.Silent(b.now, id(1))
				b.drain()
			}
		}
		// The lookup before the change may take 2 s, and so may the one after it; a part of
		// a second of the TTL is lost in the message.
		limit := ttl + 5*time.Second
		if dead && !keeps {
			limit = min(limit, 15*time.Second)
		}
		if took := moved.Sub(changes); moved == 0 || took > limit {
			t.Fatalf("seed %d: TTL %v, dead %v, kept %v: the new address is in use after %v, want at most %v", seed, ttl, dead, keeps, took, limit)
		}
	}
}
