package core

import (
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/wire"
)

// A20, B16, B51: stamps never go back, whatever the wall clock does, and each is
// greater than those sent to the same peer before.
func TestStampsNeverGoBack(t *testing.T) {
	h := singleHost(t)
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1)}, {PublicKey: publicOf(2)}}})
	p, q := h.m.members[publicOf(1)], h.m.members[publicOf(2)]
	at := func(seconds int) clock.Now {
		return clock.Now{Mono: start, Wall: epoch.Add(time.Duration(seconds) * time.Second)}
	}
	one := h.m.nextStamp(at(0), p)
	if one != wire.StampAt(epoch) {
		t.Fatalf("got first stamp %x, want that of the clock", one)
	}
	if other := h.m.nextStamp(at(0), q); other != one {
		t.Error("initiations to different peers put the stamps ahead of the clock")
	}
	two := h.m.nextStamp(at(0), p)
	if two != one.Next() {
		t.Errorf("in the same granule: got %x after %x", two, one)
	}
	future := h.m.nextStamp(at(1e8), p)
	back := h.m.nextStamp(at(1), p)
	if !back.After(future) {
		t.Error("the stamp went back with the clock")
	}
	if s := h.m.nextStamp(at(1), q); !s.After(one) || s.Compare(back) < 0 {
		t.Error("the stamp to another peer went back with the clock")
	}
	// When a peer is removed, its stamps are forgotten, but not used again.
	last := h.m.nextStamp(at(1), p)
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1), Remove: true}}})
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1)}}})
	if s := h.m.nextStamp(at(1), h.m.members[publicOf(1)]); !s.After(last) {
		t.Error("a peer that was removed and added again got the same stamp")
	}
}

// A20: the first ceiling is reserved at once; later ceilings are always above the
// stamps, and are not raised for every stamp. After a restart with a clock that
// is behind, stamps begin above the ceiling.
func TestCeiling(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	if !a.reserved.After(wire.StampAt(epoch.Add(minReserve / 3))) {
		t.Fatalf("Up reserved only %x", a.reserved)
	}
	w.lost = func(_, _ *host, _ []byte) bool { return true }
	renewed, before := 0, a.reserved
	for range 600 {
		a.send(b, "x")
		w.run(time.Second)
		if a.reserved != before {
			renewed, before = renewed+1, a.reserved
		}
		if !a.reserved.After(a.m.LastStamp()) {
			t.Fatalf("%v: a stamp reached the ceiling", w)
		}
	}
	if renewed < 10 || renewed > 21 {
		t.Errorf("the ceiling was raised %d times in 10 minutes, want 10 to 21", renewed)
	}
	for _, ceiling := range []wire.TAI64N{a.reserved, a.m.LastStamp()} {
		a.wall = -1000 * time.Hour
		a.sent = nil
		a.restart(ceiling, nil)
		if a.m.LastStamp() != ceiling {
			t.Error("the last stamp of a process that sent nothing is not the ceiling")
		}
		a.apply(conf.Change{Peers: []conf.PeerChange{a.about(b)}})
		a.up()
		a.send(b, "x")
		w.run(time.Second)
		if s := a.member(b).stamp; s != ceiling.Next() {
			t.Errorf("got first stamp %x, want the one after the ceiling %x", s, ceiling)
		}
		if !a.reserved.After(ceiling.Next()) {
			t.Error("no ceiling above the old one was reserved")
		}
	}
}

// A20, B51: after a crash, the next process starts at the ceiling. After any
// number of crashes in a row, the stamps are not far ahead of the clock, and their
// lead shrinks while a process runs.
func TestLeadAfterCrashes(t *testing.T) {
	lead := func(h *host) time.Duration {
		d := time.Duration(0)
		for wire.StampAt(h.time().Wall).Add(d+10*time.Millisecond).Compare(h.reserved) < 0 {
			d += 10 * time.Millisecond
		}
		return d
	}
	for _, c := range []struct {
		lifetime time.Duration // of each process
		maxLead  time.Duration // of the next process
	}{
		{0, 10 * time.Second},
		{time.Second, 10 * time.Second},
		{5 * time.Second, 10 * time.Second},
		{20 * time.Second, 25 * time.Second},
		{10 * time.Minute, 62 * time.Second},
	} {
		w := newWorld(t, 1)
		a, b := w.pair()
		var last wire.TAI64N
		for crash := range 8 {
			a.sent = nil
			a.send(b, "x")
			w.run(c.lifetime)
			a.send(b, "x") // after a long lifetime: a new handshake, just before the crash
			if kinds(a.sent)[wire.TypeInitiation] == 0 || !a.m.LastStamp().After(last) {
				t.Fatalf("lifetime %v: process %d sent no initiation, or one with an old stamp", c.lifetime, crash+1)
			}
			last = a.m.LastStamp()
			if ahead := lead(a); ahead > c.maxLead {
				t.Errorf("lifetime %v: %v ahead of the clock after %d crashes, want at most %v", c.lifetime, ahead, crash+1, c.maxLead)
			}
			a.restart(a.reserved, nil)
			a.apply(conf.Change{Peers: []conf.PeerChange{a.about(b)}})
			a.up()
		}
		before := lead(a)
		w.run(before + maxReserve)
		a.send(b, "x")
		if a.m.LastStamp() != wire.StampAt(a.time().Wall) {
			t.Errorf("lifetime %v: a lead of %v has not shrunk to 0 after %v", c.lifetime, before, before+maxReserve)
		}
	}
}

// A20: the greatest possible stamp does not overflow.
func TestGreatestStamp(t *testing.T) {
	h := singleHost(t)
	var end wire.TAI64N
	for i := range end {
		end[i] = 0xff
	}
	h.restart(end, nil)
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(1)}}})
	h.up()
	h.m.nextStamp(h.time(), h.m.members[publicOf(1)])
	if h.reserved.Compare(end) > 0 {
		t.Errorf("got ceiling %x, above the greatest stamp", h.reserved)
	}
}
