package serve

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/wire"
)

// A peer that the store has is lent as it is there. One that the store does not have, that
// is revoked, or that cannot be used is refused for a minute.
func TestUnknownKey(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		got := b.daemon.peer(p.PublicKey)
		if got.Name != p.Name || !got.PresharedKey.Equal(peer(1).PresharedKey) || got.PersistentKeepalive != 25 ||
			len(got.AllowedIPs) != 1 || got.AllowedIPs[0] != p.AllowedIPs[0] {
			t.Errorf("the interface has %+v, want %+v", got, p)
		}
		gone := b.add(2)
		b.revoke(gone)
		for _, p := range []*store.Peer{peer(3), gone} {
			b.daemon.ask(p.PublicKey)
			var refused []conf.Refusal
			b.until("it is refused", func() bool { refused = append(refused, b.daemon.takeRefused()...); return len(refused) > 0 })
			if len(refused) != 1 || refused[0] != refusal1(p.PublicKey, time.Minute) || b.daemon.has(p.PublicKey) {
				t.Errorf("%s: refused %v", p.Name, refused)
			}
		}
	})
}

// A peer that is revoked or deleted leaves the interface within a second; one that is
// changed is set again, and others are not.
func TestChanges(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, q, other := b.add(1), b.add(2), b.add(3)
		for _, p := range []*store.Peer{p, q, other} {
			b.lend(p)
		}
		b.revoke(p)
		if took := b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) }); took > time.Second {
			t.Errorf("a revocation took %v", took)
		}
		if err := b.store.Delete(t.Context(), q.PublicKey); err != nil {
			t.Fatal(err)
		}
		if took := b.until("the deleted peer is out", func() bool { return !b.daemon.has(q.PublicKey) }); took > time.Second {
			t.Errorf("a deletion took %v", took)
		}
		sets := len(b.daemon.sets)
		b.change(other, func(p *store.Peer) { p.PersistentKeepalive = 7 })
		b.until("the change arrives", func() bool { return b.daemon.peer(other.PublicKey).PersistentKeepalive == 7 })
		time.Sleep(5 * time.Second)
		if n := len(b.daemon.sets) - sets; n != 1 {
			t.Errorf("the change took %d sets", n)
		}
	})
}

// A revocation that happens while the peer is looked up wins.
func TestRevokedDuringLookUp(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.store.delay = time.Second // the store is read, and the answer takes a second
		b.daemon.ask(p.PublicKey)
		time.Sleep(100 * time.Millisecond)
		b.revoke(p)
		time.Sleep(5 * time.Second)
		for _, set := range b.daemon.sets {
			t.Errorf("the peer was set: %+v", set)
		}
		if refused := b.daemon.takeRefused(); len(refused) != 1 || refused[0].For != time.Minute {
			t.Errorf("refused: %v", refused)
		}
	})
}

// A peer that is added after it was refused does not wait until the daemon forgets that.
func TestAddedAfterRefusal(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		b.daemon.ask(peer(1).PublicKey)
		b.until("it is refused", func() bool { return len(b.daemon.takeRefused()) > 0 })
		time.Sleep(10 * time.Second)
		p := b.add(1)
		b.until("it is lent", func() bool { return b.daemon.has(p.PublicKey) })
	})
}

// Peers that were configured by hand are never changed, whatever the store says.
func TestByHand(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		b.stop()
		p := b.add(1)
		b.daemon.peers[p.PublicKey] = conf.PeerStatus{PublicKey: p.PublicKey, Name: "mine"}
		b.serve()
		b.revoke(p)
		time.Sleep(5 * time.Second)
		b.change(p, func(p *store.Peer) { p.Revoked = time.Time{} })
		time.Sleep(5 * time.Second)
		if len(b.daemon.sets) != 0 || b.daemon.peer(p.PublicKey).Name != "mine" {
			t.Errorf("the peer was changed: %+v", b.daemon.sets)
		}
		at := netip.MustParseAddrPort("192.0.2.7:7")
		b.see(p, at, wire.TAI64N{})
		b.daemon.hear(at)
		b.refusedAt(at)
		if n := b.server.reports()[0].Refused["configured-by-hand"]; n != 1 || len(b.daemon.sets) != 0 {
			t.Errorf("%d refusals, sets %+v", n, b.daemon.sets)
		}
		delete(b.daemon.peers, p.PublicKey) // now it is unknown, and so it is lent
		b.lend(p)
	})
}

// A store that fails does no harm to peers that are held. What was revoked meanwhile is out
// a second after the store works again, and who was refused for a moment comes in.
func TestStoreFails(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, q, r := b.add(1), b.add(2), b.add(3)
		b.lend(p)
		b.lend(q)
		b.store.fail(errors.New("the disk is gone"))
		b.revoke(q)
		b.daemon.ask(r.PublicKey)
		time.Sleep(time.Hour)
		if refused := b.daemon.takeRefused(); len(refused) != 1 || refused[0] != refusal1(r.PublicKey, shortRefusal) {
			t.Errorf("refused: %v", refused)
		}
		if !b.daemon.has(p.PublicKey) || !b.daemon.has(q.PublicKey) {
			t.Error("a peer was removed while the store failed")
		}
		b.store.fail(nil)
		if took := b.until("the revoked peer is out", func() bool { return !b.daemon.has(q.PublicKey) }); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		b.lend(r)
		if !b.daemon.has(p.PublicKey) {
			t.Error("a peer that was not revoked is out")
		}
	})
}

// A daemon that is restarted has no peers, and is served again. A program that is restarted
// removes nothing.
func TestRestarts(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		b.daemon.stop()
		time.Sleep(time.Minute)
		b.daemon.start()
		time.Sleep(2 * time.Second)
		b.lend(p)
		b.stop()
		if !b.daemon.has(p.PublicKey) {
			t.Error("the end of the program has removed a peer")
		}
		b.serve()
		time.Sleep(time.Minute)
		if !b.daemon.has(p.PublicKey) {
			t.Error("the start of the program has removed a peer")
		}
	})
}

// Many wants at once are few sets, few look-ups at a time, and one look-up for each key.
func TestFlood(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		const known = 200
		for n := range known {
			b.add(byte(n))
		}
		time.Sleep(time.Second) // the watch reports them: it has nothing to do with them
		b.store.delay, b.daemon.slow = 10*time.Millisecond, 50*time.Millisecond
		for n := range known {
			b.daemon.ask(peer(byte(n)).PublicKey)
			b.daemon.ask(peer(byte(n)).PublicKey)
		}
		b.until("all are lent", func() bool { return b.daemon.count() == known })
		if b.store.maxNow > lookUps {
			t.Errorf("%d look-ups at the same time", b.store.maxNow)
		}
		if n := len(b.daemon.sets); n > 10 {
			t.Errorf("%d sets for %d peers", n, known)
		}
		for k, n := range b.store.lookUps {
			if n != 1 {
				t.Errorf("%d look-ups of %v", n, k)
			}
		}
	})
}

// One peer that the daemon refuses does no harm to the others of its batch.
func TestDaemonRefusesOne(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		bad := b.add(1)
		b.add(2)
		b.add(3)
		b.daemon.reject = func(c conf.Change) error {
			for _, p := range c.Peers {
				if p.PublicKey == bad.PublicKey {
					return errRejected
				}
			}
			return nil
		}
		b.daemon.slow = 50 * time.Millisecond
		for n := range 3 { // the last two are ready when the first is set
			b.daemon.ask(peer(byte(3 - n)).PublicKey)
			time.Sleep(10 * time.Millisecond)
		}
		b.until("the others are lent", func() bool { return b.daemon.count() == 2 })
		if b.daemon.has(bad.PublicKey) {
			t.Error("the bad one was lent")
		}
		var refused []conf.Refusal
		b.until("the bad one is refused", func() bool { refused = append(refused, b.daemon.takeRefused()...); return len(refused) > 0 })
		if len(refused) != 1 || refused[0].Key != bad.PublicKey {
			t.Errorf("refused: %v", refused)
		}
	})
}

// A watch that has lost changes has all held peers compared.
func TestLost(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, q := b.add(1), b.add(2)
		b.lend(p)
		b.lend(q)
		b.store.deaf = true
		b.revoke(p)
		time.Sleep(time.Minute)
		sets := len(b.daemon.sets)
		b.server.changed(store.Changes{Lost: true})
		b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) })
		if n := len(b.daemon.sets) - sets; n != 1 || !b.daemon.has(q.PublicKey) {
			t.Errorf("%d sets", n)
		}
	})
}

// A peer that is lent while all peers are read is one that was lent.
func TestLentWhileRead(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.stop()
		b.daemon.reading = time.Second
		b.serve()
		b.lend(p)
		time.Sleep(2 * time.Second)
		b.revoke(p)
		b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) })
	})
}

// A peer is lent for a while. One that the interface returns is no more looked after, its
// bytes are recorded once, and it is lent again when it is heard again.
func TestReturned(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		if lent := b.daemon.peer(p.PublicKey).Lent; lent != 300 {
			t.Errorf("it is lent for %d seconds", lent)
		}
		stamp := wire.StampAt(time.Now())
		for range 2 {
			b.daemon.mu.Lock()
			delete(b.daemon.peers, p.PublicKey)
			b.daemon.mu.Unlock()
			b.daemon.current().events <- conf.Event{Kind: conf.PeerReturned, Peer: p.PublicKey, Time: time.Now(), Endpoint: netip.MustParseAddrPort("192.0.2.7:7"),
				Stamp: conf.Stamp(stamp), RxBytes: 70, TxBytes: 7, Cause: "idle"}
			time.Sleep(3 * time.Second)
			if r := b.server.reports()[0]; r.Peers != 0 {
				t.Errorf("%d peers are held", r.Peers)
			}
			sets := len(b.daemon.sets)
			b.change(p, func(p *store.Peer) { p.PersistentKeepalive++ })
			time.Sleep(3 * time.Second)
			if len(b.daemon.sets) != sets {
				t.Error("a peer that was returned was set")
			}
			b.lend(p)
		}
		now, err := b.store.ByKey(t.Context(), p.PublicKey)
		if err != nil || now.Seen.RxBytes != 140 || now.Seen.TxBytes != 14 || now.Seen.Stamp != stamp {
			t.Errorf("the store has %+v, %v", now.Seen, err)
		}
	})
}

// What happens to peers while the program does not run is in the store after it has started,
// unless the store has later news or knows it already.
func TestSeenWhileAway(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, q, known := b.add(1), b.add(2), b.add(3)
		stampAt := func(at time.Time) conf.Stamp { return conf.Stamp(wire.StampAt(at)) }
		begin, before, after := time.Now(), netip.MustParseAddrPort("192.0.2.7:7"), netip.MustParseAddrPort("192.0.2.8:8")
		for _, p := range []*store.Peer{p, q, known} {
			b.lend(p)
		}
		b.see(known, before, wire.StampAt(begin))
		b.stop()
		time.Sleep(10 * time.Second)
		handshake := func(p *store.Peer, at netip.AddrPort, done time.Time) {
			b.daemon.mu.Lock()
			defer b.daemon.mu.Unlock()
			s := b.daemon.peers[p.PublicKey]
			s.Endpoint, s.LastHandshake, s.Stamp, s.RxBytes = at, done, stampAt(done), 5
			b.daemon.peers[p.PublicKey] = s
		}
		done := time.Now()
		handshake(p, after, done)
		handshake(q, before, done)
		handshake(known, before, begin)
		time.Sleep(10 * time.Second)
		b.see(q, after, wire.StampAt(time.Now())) // by another gateway
		records := b.store.records
		b.serve()
		time.Sleep(3 * recordPause)
		if now, err := b.store.ByKey(t.Context(), p.PublicKey); err != nil || now.Seen.Endpoint != after || conf.Stamp(now.Seen.Stamp) != stampAt(done) || now.Seen.RxBytes != 0 {
			t.Errorf("the store has %+v, %v", now.Seen, err)
		}
		if now, err := b.store.ByKey(t.Context(), q.PublicKey); err != nil || now.Seen.Endpoint != after {
			t.Errorf("of the peer that was seen elsewhere since, the store has %+v, %v", now.Seen, err)
		}
		if n := b.store.records - records; n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
	})
}

// A gateway that returns a peer does not know where it is: another one may have seen it since.
func TestReturnedAfterMove(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		before, after := netip.MustParseAddrPort("192.0.2.7:7"), netip.MustParseAddrPort("192.0.2.8:8")
		b.lend(p)
		b.daemon.current().events <- conf.Event{Kind: conf.HandshakeDone, Peer: p.PublicKey, Endpoint: before, Time: time.Now()}
		time.Sleep(time.Minute)
		seenAt := time.Now().Truncate(time.Second)
		b.see(p, after, wire.TAI64N{}) // by another gateway
		time.Sleep(time.Minute)
		b.daemon.current().events <- conf.Event{Kind: conf.PeerReturned, Peer: p.PublicKey, Endpoint: before, Time: time.Now(), RxBytes: 70}
		time.Sleep(3 * time.Second)
		now, err := b.store.ByKey(t.Context(), p.PublicKey)
		if err != nil || now.Seen.RxBytes != 70 || now.Seen.Endpoint != after || !now.Seen.At.Equal(seenAt) {
			t.Errorf("the store has %+v, %v", now.Seen, err)
		}
	})
}

// A program that is restarted finds the peers that were lent before. What was revoked
// meanwhile goes; a lent peer that is made one of the interface's own is not changed any more.
func TestRestartFindsLent(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, q, own := b.add(1), b.add(2), b.add(3)
		for _, p := range []*store.Peer{p, q, own} {
			b.lend(p)
		}
		b.stop()
		sets := len(b.daemon.sets)
		b.revoke(p)
		time.Sleep(time.Minute)
		b.serve()
		b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) })
		time.Sleep(5 * time.Second)
		if n := len(b.daemon.sets) - sets; n != 1 {
			t.Errorf("%d sets, want 1", n)
		}
		b.daemon.mu.Lock()
		s := b.daemon.peers[own.PublicKey]
		s.Lent = 0
		b.daemon.peers[own.PublicKey] = s
		b.daemon.mu.Unlock()
		b.daemon.current().events <- conf.Event{Kind: conf.ConfigurationChanged, By: conf.Caller{PID: 1}}
		time.Sleep(2 * rereadPause)
		b.revoke(own)
		b.revoke(q)
		b.until("the other revoked peer is out", func() bool { return !b.daemon.has(q.PublicKey) })
		if !b.daemon.has(own.PublicKey) {
			t.Error("a peer of the interface's own was removed")
		}
	})
}

// A change that cannot be looked up is looked up again until it can.
func TestLookUpFails(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		b.store.failKey(errors.New("try later"))
		b.revoke(p)
		time.Sleep(time.Minute)
		if !b.daemon.has(p.PublicKey) {
			t.Error("the peer was removed though nothing is known of it")
		}
		if n := b.store.lookUpsOf(p.PublicKey); n > 100 {
			t.Errorf("%d look-ups in a minute", n)
		}
		b.store.failKey(nil)
		if took := b.until("it is out", func() bool { return !b.daemon.has(p.PublicKey) }); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// An interface that comes later is served, and so are the peers that were lent to it before.
func TestInterfaceComesLater(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		b.daemon.stop()
		p, q := b.add(1), b.add(2)
		b.revoke(p)
		time.Sleep(time.Minute)
		for _, p := range []*store.Peer{p, q} {
			b.daemon.peers[p.PublicKey] = conf.PeerStatus{PublicKey: p.PublicKey, Lent: 300}
		}
		b.daemon.start()
		b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) })
		b.until("the other is as in the store", func() bool { return b.daemon.peer(q.PublicKey).Name == q.Name })
	})
}
