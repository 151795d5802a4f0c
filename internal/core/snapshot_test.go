package core

import (
	"encoding/binary"
	"testing"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/key"
)

// manyPeers returns a change that adds n peers with one prefix each.
func manyPeers(n int) (c conf.Change) {
	for i := range n {
		var public key.Public
		binary.BigEndian.PutUint64(public[8:], uint64(i)*0x9e3779b97f4a7c15)
		c.Peers = append(c.Peers, conf.PeerChange{PublicKey: public, AllowedIPs: []conf.AllowedIPChange{{Prefix: prefixOf(i)}}})
	}
	return c
}

var scaleNow = clock.Now{Mono: start, Wall: epoch}

// A60: a snapshot that is copied in parts has the configuration of one moment, also if
// peers are added and removed between the parts, and ends even if that never stops.
func TestSnapshot(t *testing.T) {
	const n = 100
	m := newMachine()
	apply := func(c conf.Change) {
		t.Helper()
		if err := m.Apply(scaleNow, c); err != nil {
			t.Fatal(err)
		}
	}
	all := manyPeers(n)
	apply(all)
	remove := func(i int) {
		apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: all.Peers[i].PublicKey, Remove: true}}})
	}
	check := func(s *Snapshot, when string) {
		t.Helper()
		want := m.Status(scaleNow)
		if len(s.Status.Peers) != len(want.Peers) || m.PeerCount() != len(want.Peers) {
			t.Fatalf("%s: %d peers, want %d", when, len(s.Status.Peers), len(want.Peers))
		}
		for i := range want.Peers {
			if got := s.Status.Peers[i]; got.PublicKey != want.Peers[i].PublicKey || len(got.AllowedIPs) != 1 || got.AllowedIPs[0] != want.Peers[i].AllowedIPs[0] {
				t.Errorf("%s: peer %d is %v", when, i, got)
			}
		}
	}

	var s Snapshot
	parts := 1
	for ; !s.Copy(m, scaleNow, 7); parts++ {
	}
	if check(&s, "no change"); parts != (n+6)/7 {
		t.Errorf("%d parts, want %d", parts, (n+6)/7)
	}

	// One change: the peer that is copied next is removed, and so is one that was copied.
	s = Snapshot{}
	s.Copy(m, scaleNow, 10)
	remove(10)
	remove(3)
	for !s.Copy(m, scaleNow, 10) {
	}
	check(&s, "two peers removed")

	// A change after each part.
	s = Snapshot{}
	parts = 1
	for i := 20; !s.Copy(m, scaleNow, 10); i++ {
		remove(i)
		if parts++; parts > maxRestarts+2 {
			t.Fatal("it does not end")
		}
	}
	check(&s, "changes all the time")

	s = Snapshot{}
	if !s.Copy(newMachine(), scaleNow, 1) || len(s.Status.Peers) != 0 {
		t.Error("a snapshot of no peers is not complete at once")
	}
}

// The keys in what was copied before a snapshot begins again are erased (A35).
func TestSnapshotErasesKeys(t *testing.T) {
	m := newMachine()
	c := manyPeers(2)
	for i := range c.Peers {
		psk, err := key.ParsePreshared("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
		if err != nil {
			t.Fatal(err)
		}
		c.Peers[i].PresharedKey = &psk
	}
	if err := m.Apply(scaleNow, c); err != nil {
		t.Fatal(err)
	}
	var s Snapshot
	s.Reserve(2)
	s.Copy(m, scaleNow, 1)
	copied := s.Status.Peers[0].PresharedKey // it shares the bytes
	if copied.IsZero() {
		t.Fatal("no preshared key was copied")
	}
	if err := m.Apply(scaleNow, conf.Change{Peers: []conf.PeerChange{{PublicKey: c.Peers[1].PublicKey, Remove: true}}}); err != nil {
		t.Fatal(err)
	}
	if !s.Copy(m, scaleNow, 2) || !copied.IsZero() || s.Status.Peers[0].PresharedKey.IsZero() {
		t.Error("the key that was copied first is not erased, or the second copy is")
	}
}
