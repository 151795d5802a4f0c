//go:build !race

package core

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/key"
)

// manyPeers is a change that adds n peers with one prefix each.
func manyPeers(n int) (c conf.Change) {
	for i := range n {
		var public key.Public
		binary.BigEndian.PutUint64(public[8:], uint64(i)*0x9e3779b97f4a7c15)
		c.Peers = append(c.Peers, conf.PeerChange{PublicKey: public, AllowedIPs: []conf.AllowedIPChange{{Prefix: prefixOf(i)}}})
	}
	return c
}

var scaleNow = clock.Now{Mono: start, Wall: epoch}

// An idle configured peer costs about 1 KB, so that ten thousand fit into a
// small machine.
func TestMemoryOfIdlePeers(t *testing.T) {
	const n = 10000
	c := manyPeers(n)
	m := newMachine()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := m.Apply(scaleNow, c); err != nil {
		t.Fatal(err)
	}
	m.Up(scaleNow)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (after.HeapAlloc - before.HeapAlloc) / n
	t.Logf("%d bytes a peer", each)
	if each > 1100 {
		t.Errorf("%d bytes a peer, at most 1100 were allowed", each)
	}
	runtime.KeepAlive(m)
}

// B22, A60: a hundred thousand peers are set, read back, changed and removed
// without quadratic work; a million fit.
func TestHundredThousandPeers(t *testing.T) {
	const n = 100000
	c := manyPeers(n)
	m := newMachine()
	// A machine under load is slow, and quadratic work is slower still.
	took := func(what string, limit time.Duration, do func()) {
		t.Helper()
		begin := time.Now()
		do()
		d := time.Since(begin)
		t.Logf("%s: %v", what, d)
		if d > limit {
			t.Errorf("%s took %v", what, d)
		}
	}
	apply := func(c conf.Change) {
		t.Helper()
		if err := m.Apply(scaleNow, c); err != nil {
			t.Fatal(err)
		}
	}
	took("add", time.Minute, func() { apply(c) })
	took("up", time.Minute, func() { m.Up(scaleNow) })
	took("read", time.Minute, func() {
		if st := m.Status(scaleNow); len(st.Peers) != n || st.Peers[n-1].PublicKey != c.Peers[n-1].PublicKey {
			t.Error("not all peers are read back")
		}
	})
	took("change the same again", time.Minute, func() { apply(c) })
	took("replace", time.Minute, func() { c.ReplacePeers = true; apply(c) })
	took("remove one by one", time.Minute, func() {
		for i := range c.Peers {
			apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: c.Peers[i].PublicKey, Remove: true}}})
		}
	})
	if len(m.members) != 0 || m.first != nil || m.Routes().Load().Len() != 0 {
		t.Error("not all peers are gone")
	}
}

// B22, B60: 130,560 prefixes on one peer are set and read back, and move to
// another peer, in time.
func TestManyPrefixes(t *testing.T) {
	m := newMachine()
	var list []conf.AllowedIPChange
	for i := range 130560 {
		list = append(list, conf.AllowedIPChange{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 15), byte(i >> 7), byte(i << 1)}), 31)})
	}
	begin := time.Now()
	for _, n := range []int{1, 2} {
		if err := m.Apply(scaleNow, conf.Change{Peers: []conf.PeerChange{{PublicKey: publicOf(n), AllowedIPs: list}}}); err != nil {
			t.Fatal(err)
		}
		st := m.Status(scaleNow)
		for i, prefix := range st.Peers[n-1].AllowedIPs {
			if prefix != list[i].Prefix {
				t.Fatalf("prefix %d is %v, want %v", i, prefix, list[i].Prefix)
			}
		}
		if len(st.Peers[n-1].AllowedIPs) != len(list) || n == 2 && len(st.Peers[0].AllowedIPs) != 0 {
			t.Fatalf("%d prefixes are read back", len(st.Peers[n-1].AllowedIPs))
		}
	}
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("took %v", d)
	}
}

// The notes of the data plane may come with every packet.
func TestWantAllocatesNothing(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	p := a.peer(b)
	if n := testing.AllocsPerRun(100, func() { a.m.Want(a.time(), p); a.m.Wake(a.time(), p) }); n != 0 {
		t.Errorf("Want and Wake allocate %v times", n)
	}
}
