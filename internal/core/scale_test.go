//go:build !race

package core

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"wgd/conf"
)

// An idle configured peer takes about 1 KB of memory, so that ten thousand fit on
// a small computer.
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
	t.Logf("%d bytes per peer", each)
	if each > 1100 {
		t.Errorf("got %d bytes per peer, want at most 1100", each)
	}
	runtime.KeepAlive(m)
}

// B22, A60: adding, reading, changing and removing a hundred thousand peers takes
// no quadratic work.
func TestHundredThousandPeers(t *testing.T) {
	const n = 100000
	c := manyPeers(n)
	m := newMachine()
	// The limits allow for a slow, loaded computer, but not for quadratic work.
	took := func(what string, limit time.Duration, do func()) {
		t.Helper()
		begin := time.Now()
		do()
		d := time.Since(begin)
		t.Logf("%s: %v", what, d)
		if d > limit {
			t.Errorf("%s took %v, want at most %v", what, d, limit)
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
			t.Error("the status does not have all peers")
		}
	})
	took("change the same again", time.Minute, func() { apply(c) })
	took("replace", time.Minute, func() { c.ReplacePeers = true; apply(c) })
	took("remove one by one", time.Minute, func() {
		for i := range c.Peers {
			apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: c.Peers[i].PublicKey, Remove: true}}})
		}
	})
	if len(m.members) != 0 || m.list.slots != nil || m.Routes().Load().Len() != 0 {
		t.Error("not all peers were removed")
	}
}

// B22, B60: 130,560 prefixes of one peer are set, read, and moved to another peer
// in reasonable time.
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
				t.Fatalf("prefix %d: got %v, want %v", i, prefix, list[i].Prefix)
			}
		}
		if len(st.Peers[n-1].AllowedIPs) != len(list) || n == 2 && len(st.Peers[0].AllowedIPs) != 0 {
			t.Fatalf("got %d prefixes, want %d", len(st.Peers[n-1].AllowedIPs), len(list))
		}
	}
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("took %v, want at most a minute", d)
	}
}

// The data plane may post its notes for every packet.
func TestWantAllocatesNothing(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	p := a.peer(b)
	if n := testing.AllocsPerRun(100, func() { a.m.Want(a.time(), p); a.m.Wake(a.time(), p) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
