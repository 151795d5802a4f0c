package unknown

import (
	"context"
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// start is the time at which each test begins.
const start = clock.Time(1000 * time.Second)

func publicKey(i int) (k key.Public) {
	binary.BigEndian.PutUint64(k[:], uint64(i)+1)
	return k
}

var someone = Initiation{From: wire.NewEndpoint(netip.MustParseAddrPort("192.0.2.9:5"), netip.Addr{}, 0)}

// waiting returns the wants that wait for s, and how many it has missed.
func waitingFor(s *Subscriber) (list []conf.Want, missed uint64) {
	for {
		ctx, cancel := context.WithCancel(context.Background())
		if len(s.wants) == 0 && s.missed.Load() == 0 {
			cancel()
		}
		w, ok := s.Next(ctx)
		cancel()
		switch {
		case !ok:
			return list, missed
		case w.Kind == conf.WantsMissed:
			missed += w.Missed
		default:
			list = append(list, w)
		}
	}
}

// A flood of 100,000 unknown keys, twice in half a minute, is reported within the limits,
// each key once; the memory is bounded; and what is limited is counted.
func TestFloodOfUnknownKeys(t *testing.T) {
	const keys = 100_000
	table := New()
	s := table.Subscribe()
	seen := map[key.Public]int{}
	var missed uint64
	take := func() {
		list, n := waitingFor(s)
		missed += n
		for _, w := range list {
			seen[w.Key]++
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	now := start
	for round := range 2 {
		for i := range keys {
			if i%512 == 0 {
				take()
			}
			table.Key(now, publicKey(i), someone)
			now = now.Add(150 * time.Microsecond)
		}
		if n := len(seen); n > reportBurst+int(now.Sub(start)/reportInterval) {
			t.Errorf("round %d: %d keys reported in %v", round, n, now.Sub(start))
		}
	}
	take()
	runtime.GC()
	runtime.ReadMemStats(&after)
	for k, n := range seen {
		if n != 1 {
			t.Fatalf("key %v was reported %d times within a minute", k, n)
		}
	}
	if len(seen) < reportBurst || missed == 0 {
		t.Errorf("%d keys reported, %d missed", len(seen), missed)
	}
	if table.initiations.len() > maxInitiations || table.keys.recent.len() > maxReported {
		t.Errorf("%d initiations, %d keys", table.initiations.len(), table.keys.recent.len())
	}
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 24<<20 {
		t.Errorf("%d bytes", used)
	}
	table.Key(now.Add(2*conf.MaxRefusal), publicKey(0), someone)
	if n := table.keys.recent.len(); n != 1 {
		t.Errorf("%d keys are left after two minutes", n)
	}
	runtime.KeepAlive(seen)
}

// Refusals are bounded, too: a key that was not reported is not remembered.
func TestRefusalsAreBounded(t *testing.T) {
	table := New()
	table.Subscribe()
	for i := range 1000 {
		table.Refuse(start, conf.Refusal{Key: publicKey(i), For: conf.MaxRefusal})
	}
	if n := table.keys.recent.len(); n != 0 {
		t.Errorf("%d refusals of what was not reported", n)
	}
	table.Key(start, publicKey(1), someone)
	table.Refuse(start, conf.Refusal{Key: publicKey(1), For: 24 * time.Hour})
	if table.Key(start.Add(conf.MaxRefusal-1), publicKey(1), someone) {
		t.Error("what was refused is kept")
	}
	if !table.Key(start.Add(conf.MaxRefusal), publicKey(1), someone) {
		t.Error("a refusal lasts longer than a minute")
	}
}

// A slow subscriber misses wants, and is told how many. Another one gets all of them.
// When one of them has gone, the other still gets wants; when both have, nothing is kept.
func TestSlowSubscriber(t *testing.T) {
	table := New()
	slow, quick := table.Subscribe(), table.Subscribe()
	const keys = maxWaiting + 10
	got := 0
	for i := range keys {
		table.Key(start, publicKey(i), someone)
		list, missed := waitingFor(quick)
		got += len(list)
		if missed != 0 {
			t.Fatalf("the quick subscriber missed %d", missed)
		}
	}
	if list, missed := waitingFor(slow); got != keys || len(list) != maxWaiting || missed != keys-maxWaiting {
		t.Errorf("quick: %d, slow: %d and %d missed", got, len(list), missed)
	}
	table.Unsubscribe(slow)
	if !table.Key(start, publicKey(keys), someone) {
		t.Error("with one subscriber left, nothing is kept")
	}
	table.Unsubscribe(quick)
	if table.Key(start, publicKey(keys+1), someone) || table.initiations.len() != 0 || table.keys.recent.len() != 0 {
		t.Error("without subscribers, something is kept")
	}
}

// The end of the table ends its subscribers, also later ones, and nil is a Table that
// keeps nothing.
func TestEnd(t *testing.T) {
	table := New()
	s := table.Subscribe()
	table.Key(start, publicKey(1), someone)
	table.End()
	if w, ok := s.Next(context.Background()); !ok || w.Kind != conf.UnknownPeerKey {
		t.Errorf("the last want: %+v, %v", w, ok)
	}
	if _, ok := s.Next(context.Background()); ok {
		t.Error("a want after the end")
	}
	table.Unsubscribe(s)
	if _, ok := table.Subscribe().Next(context.Background()); ok {
		t.Error("a want for a subscriber after the end")
	}
	var none *Table
	none.Clear()
	if _, ok := none.TakeKey(start, publicKey(1)); ok || none.Key(start, publicKey(1), someone) {
		t.Error("nil keeps something")
	}
}

// Without a subscriber, nothing is allocated.
func TestNoCostWithoutSubscriber(t *testing.T) {
	table := New()
	if n := testing.AllocsPerRun(100, func() { table.Key(start, publicKey(1), someone) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What no subscriber had room for is reported when it arrives again, not after a minute.
func TestLostWantIsReportedAgain(t *testing.T) {
	table := New()
	s := table.Subscribe()
	arrive := func(now clock.Time) {
		table.Key(now, publicKey(-1), someone)
		table.Session(now, sender(-1))
		table.Park(now, inner(-1), one(9), nowhere)
	}
	for i := range maxWaiting {
		table.Key(start, publicKey(i), someone)
	}
	arrive(start)
	if list, missed := waitingFor(s); len(list) != maxWaiting || missed != 3 {
		t.Fatalf("%d wants, %d missed", len(list), missed)
	}
	if table.senders.len() != 0 || table.parked.len() != 0 {
		t.Error("something is kept for what was not reported")
	}
	arrive(start.Add(5 * time.Second))
	if list, missed := waitingFor(s); len(list) != 3 || missed != 0 {
		t.Errorf("when they arrive again: %+v, %d missed", list, missed)
	}
}

// What arrives while the last subscriber goes is not kept either.
func TestNothingIsKeptAfterTheLastSubscriber(t *testing.T) {
	for _, c := range []struct {
		what string
		kept func(*Table) bool
	}{
		{"an initiation", func(table *Table) bool {
			return table.Key(start, publicKey(1), someone) || table.keys.recent.len() != 0
		}},
		{"a sender", func(table *Table) bool { table.Session(start, sender(1)); return table.sessions.recent.len() != 0 }},
		{"a packet", func(table *Table) bool {
			return table.Park(start, inner(1), one(9), nowhere) != Dropped || table.destinations.recent.len() != 0
		}},
	} {
		table := New()
		table.Unsubscribe(table.Subscribe())
		table.on.Store(true) // as it was seen before the lock
		if c.kept(table) {
			t.Errorf("%s is kept", c.what)
		}
	}
}
