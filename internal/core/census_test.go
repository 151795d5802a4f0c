package core

import (
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/session"
)

// A census that is taken in parts counts each peer once, whatever happens between the
// parts, and keeps the bytes of peers that have been removed.
func TestCensus(t *testing.T) {
	m := newMachine()
	all := manyPeers(100)
	if err := m.Apply(scaleNow, all); err != nil {
		t.Fatal(err)
	}
	i := 0
	for p := range m.list.all() {
		p.shared.CountReceived(3)
		p.shared.CountSent(5)
		if i++; i <= 10 {
			p.completed = scaleNow.Mono
		}
		if i <= 20 {
			p.shared.NoteReceived(scaleNow.Mono, true)
		}
	}
	check := func(c *Census, peers, active int, when string) {
		t.Helper()
		if c.Peers != peers || c.Active != active || c.RxBytes != 300 || c.TxBytes != 500 {
			t.Errorf("%s: %+v", when, c)
		}
	}
	var c Census
	for !c.Count(m, scaleNow, 7) {
	}
	check(&c, 100, 10, "at once")
	if c.Idle[0] != 20 || c.IdleSum != 0 {
		t.Errorf("idle: %v, %v", c.Idle, c.IdleSum)
	}

	later := clock.Now{Mono: scaleNow.Mono.Add(session.RejectAfterTime), Wall: scaleNow.Wall}
	c = Census{}
	c.Count(m, later, 50)
	remove := conf.Change{Peers: []conf.PeerChange{{PublicKey: all.Peers[0].PublicKey, Remove: true}, {PublicKey: all.Peers[50].PublicKey, Remove: true}}}
	if err := m.Apply(later, remove); err != nil {
		t.Fatal(err)
	}
	for !c.Count(m, later, 50) {
	}
	// The one that had its turn and the one that had not were both there at the beginning.
	check(&c, 100, 0, "while two were removed")
	c = Census{}
	for !c.Count(m, later, 50) {
	}
	check(&c, 98, 0, "after two were removed")
	if want := 19 * session.RejectAfterTime.Seconds(); c.Idle[4] != 19 || c.IdleSum != want {
		t.Errorf("idle: %v, %v, want %v", c.Idle, c.IdleSum, want)
	}
	var idle uint64
	c = Census{}
	c.Count(m, clock.Now{Mono: later.Mono.Add(365 * 24 * time.Hour)}, 1000)
	for _, n := range c.Idle {
		idle += n
	}
	if c.Idle[len(IdleBounds)] != 19 || idle != 19 {
		t.Errorf("a year later: %v", c.Idle)
	}
}
