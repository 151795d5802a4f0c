package core

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"slices"
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

// randomly returns a change of a few peers: some are removed, some are added, some get
// prefixes of others, names, keys, endpoints and keepalives.
func randomly(dice *rand.Rand, all *conf.Change) (c conf.Change) {
	for range 1 + dice.IntN(3) {
		p := conf.PeerChange{PublicKey: all.Peers[dice.IntN(len(all.Peers))].PublicKey}
		switch dice.IntN(6) {
		case 0:
			p.Remove = true
		case 1:
			p.PublicKey[0] = byte(1 + dice.IntN(20)) // perhaps a new one
		case 2:
			p.AllowedIPs = []conf.AllowedIPChange{{Prefix: prefixOf(dice.IntN(len(all.Peers)))}}
		case 3:
			psk, _ := key.ParsePreshared("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
			p.PresharedKey = &psk
		case 4:
			p.ReplaceAllowedIPs = true
		case 5:
			seconds := uint16(dice.IntN(100))
			p.PersistentKeepalive = &seconds
		}
		c.Peers = append(c.Peers, p)
	}
	c.ReplacePeers = dice.IntN(50) == 0
	return c
}

// A60: a snapshot that is copied in parts has the configuration of the moment at which it
// began, also if that changes after each part. No part copies more peers than it should,
// and none are left out, so the snapshot ends as soon as without changes.
func TestSnapshot(t *testing.T) {
	const n, part = 100, 7
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	all := manyPeers(n)
	m := newMachine()
	type running struct {
		got       Snapshot
		want      conf.Status
		parts, at int
	}
	var walks []*running
	for round := range 3000 {
		if round%200 == 0 {
			if err := m.Apply(scaleNow, all); err != nil {
				t.Fatal(err)
			}
		}
		if dice.IntN(8) == 0 {
			r := &running{want: m.Status(scaleNow)}
			r.got.Begin(m, scaleNow)
			r.got.Reserve()
			walks = append(walks, r)
		}
		if err := m.Apply(scaleNow, randomly(dice, &all)); err != nil {
			t.Fatal(err)
		}
		walks = slices.DeleteFunc(walks, func(r *running) bool {
			complete := r.got.Copy(m, scaleNow, part)
			r.parts++
			if got := len(r.got.Status.Peers); got != min(r.at+part, len(r.want.Peers)) {
				t.Fatalf("round %d: a part copied %d peers, want at most %d", round, got-r.at, part)
			}
			if r.at = len(r.got.Status.Peers); !complete {
				return false
			}
			if want := max(1, (len(r.want.Peers)+part-1)/part); r.parts != want {
				t.Errorf("%d parts, want %d", r.parts, want)
			}
			if !reflect.DeepEqual(r.got.Status, r.want) {
				t.Fatalf("round %d: got\n%+v\nwant\n%+v", round, r.got.Status, r.want)
			}
			return true
		})
	}
	if slots := len(m.list.slots); slots > 4*len(m.members)+minSlots+2*n {
		t.Errorf("%d slots for %d members", slots, len(m.members))
	}
	for _, r := range walks {
		for !r.got.Copy(m, scaleNow, part) {
		}
	}
	if m.list.walks != nil {
		t.Error("a walk that has ended is still kept")
	}
}

// A snapshot of no peers is complete at once.
func TestSnapshotOfNone(t *testing.T) {
	var s Snapshot
	m := newMachine()
	s.Begin(m, scaleNow)
	s.Reserve()
	if !s.Copy(m, scaleNow, 1) || len(s.Status.Peers) != 0 {
		t.Errorf("%+v", s.Status)
	}
}

// The memory of the list is given back when all peers are removed, and does not grow
// when they come and go.
func TestMemberList(t *testing.T) {
	m := newMachine()
	apply := func(c conf.Change) {
		t.Helper()
		if err := m.Apply(scaleNow, c); err != nil {
			t.Fatal(err)
		}
	}
	all := manyPeers(1000)
	apply(all)
	for i := range 5000 {
		p := all.Peers[i%1000]
		apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: p.PublicKey, Remove: true}}})
		apply(conf.Change{Peers: []conf.PeerChange{p}})
	}
	want := manyPeers(1000)
	i := 0
	for p := range m.list.all() {
		if p.public() != want.Peers[i].PublicKey {
			t.Fatalf("member %d is another one", i)
		}
		i++
	}
	if i != 1000 || len(m.list.slots) > 2500 {
		t.Errorf("%d members in %d slots", i, len(m.list.slots))
	}
	apply(conf.Change{ReplacePeers: true})
	if m.list.slots != nil || m.list.holes != 0 {
		t.Errorf("%d slots and %d holes are left", len(m.list.slots), m.list.holes)
	}
}
