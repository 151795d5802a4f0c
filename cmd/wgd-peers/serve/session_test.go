package serve

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/wire"
	"wgd/key"
)

// see records in the store where a peer was, as another gateway does.
func (b *bench) see(p *store.Peer, endpoint netip.AddrPort, stamp wire.TAI64N) {
	b.t.Helper()
	_, err := b.store.Record(b.t.Context(), []store.Sighting{{PublicKey: p.PublicKey, Endpoint: endpoint, At: time.Now(), Stamp: stamp}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// refusedAt waits for the refusal of an endpoint, and returns for how long it is.
func (b *bench) refusedAt(endpoint netip.AddrPort) time.Duration {
	b.t.Helper()
	var list []conf.Refusal
	b.until("the endpoint is refused", func() bool { list = append(list, b.daemon.takeRefused()...); return len(list) > 0 })
	for _, r := range list {
		if r.Endpoint == endpoint {
			return r.For
		}
	}
	b.t.Errorf("refused: %v, want %v", list, endpoint)
	return 0
}

// Data for nobody's session that comes from where the store has seen a peer last makes the
// interface take the peer and call it there, with the greatest stamp that any gateway knows.
func TestUnknownSession(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		at := netip.MustParseAddrPort("[2001:db8::7]:7777")
		stamp := wire.StampAt(time.Now())
		b.see(p, at, stamp)
		time.Sleep(time.Second) // so that it is no peer that changes now
		b.daemon.hear(at)
		b.until("the peer is called", func() bool { return b.daemon.calls(p.PublicKey) == 1 })
		if got := b.daemon.peer(p.PublicKey); got.Endpoint != at || got.Stamp != conf.Stamp(stamp) || !got.PresharedKey.Equal(peer(1).PresharedKey) {
			t.Errorf("the interface has %+v", got)
		}
		if n := b.store.lookUpsOf(p.PublicKey); n != 0 {
			t.Errorf("what was found by its endpoint is looked up %d times by its key", n)
		}
	})
}

// A peer that is revoked while it is looked up by its endpoint is not called, although the
// look-up does not know of that.
func TestRevokedDuringLookUpByEndpoint(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		at := netip.MustParseAddrPort("192.0.2.7:7")
		b.see(p, at, wire.TAI64N{})
		time.Sleep(time.Second)
		b.store.mu.Lock()
		b.store.delay = lookUpTime - 100*time.Millisecond
		b.store.mu.Unlock()
		b.daemon.hear(at)
		time.Sleep(100 * time.Millisecond)
		b.revoke(p)
		time.Sleep(2 * lookUpTime)
		if b.daemon.has(p.PublicKey) || b.daemon.calls(p.PublicKey) != 0 {
			t.Error("a peer that is revoked is called")
		}
		if r := b.server.reports()[0].Refused; r["revoked"] != 1 {
			t.Errorf("the reasons are %v", r)
		}
	})
}

// Nobody else is called: neither who was seen elsewhere since, nor who is only configured to
// be there, nor a peer that is revoked, nor a stranger.
func TestNobodyElseIsCalled(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		moved, gone, configured := b.add(1), b.add(2), b.add(3)
		old, place, third := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:2"), netip.MustParseAddrPort("192.0.2.3:3")
		b.see(moved, old, wire.TAI64N{})
		time.Sleep(2 * time.Second)
		b.see(moved, netip.MustParseAddrPort("192.0.2.1:2"), wire.TAI64N{})
		b.see(gone, place, wire.TAI64N{})
		b.revoke(gone)
		b.change(configured, func(p *store.Peer) { p.Endpoint = third.String() })
		time.Sleep(time.Second)
		for _, at := range []netip.AddrPort{old, place, third, netip.MustParseAddrPort("192.0.2.4:4")} {
			b.daemon.hear(at)
			if d := b.refusedAt(at); d != time.Minute {
				t.Errorf("%v is refused for %v", at, d)
			}
		}
		if len(b.daemon.sets) != 0 {
			t.Errorf("changes: %+v", b.daemon.sets)
		}
		if r := b.server.reports()[0].Refused; r["not-in-store"] != 2 || r["revoked"] != 1 || r["not-seen-there"] != 1 {
			t.Errorf("the reasons are %v", r)
		}
	})
}

// However much data comes, a peer is called once in five seconds.
func TestCalledOnceInFiveSeconds(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		at := netip.MustParseAddrPort("192.0.2.7:7")
		b.see(p, at, wire.TAI64N{})
		for range 100 {
			b.daemon.hear(at)
			time.Sleep(100 * time.Millisecond)
		}
		if n := b.daemon.calls(p.PublicKey); n != 2 {
			t.Errorf("it was called %d times in 10 seconds", n)
		}
		time.Sleep(callPause)
		b.daemon.hear(at)
		b.until("it is called again", func() bool { return b.daemon.calls(p.PublicKey) == 3 })
	})
}

// Over all peers, no more than a burst and then a number in a second are called.
func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(&Server{}, "wg0", newFakeDaemon())
		at := netip.MustParseAddrPort("192.0.2.7:7")
		n := uint32(0)
		called := func(limit int) (done int) {
			for range limit {
				n++
				k := key.Public{byte(n), byte(n >> 8), byte(n >> 16), 1}
				a := answer{&task{peer: &store.Peer{PublicKey: k, Seen: store.Seen{Endpoint: at}}}, asked{at: at}}
				if s.call(a) == "" {
					done++
				}
			}
			return done
		}
		if done := called(3 * callBurst); done != callBurst {
			t.Errorf("%d were called at once", done)
		}
		time.Sleep(2 * time.Second)
		if done := called(3 * callBurst); done != 2*callRate {
			t.Errorf("%d were called after 2 seconds", done)
		}
		time.Sleep(time.Hour)
		if done := called(3 * callBurst); done != callBurst {
			t.Errorf("%d were called after an hour", done)
		}
		if len(s.calls.last) > 2*callBurst {
			t.Errorf("%d peers are remembered", len(s.calls.last))
		}
	})
}

// The greatest stamp of a peer is written to the store.
func TestStampIsRecorded(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		newer, older := wire.StampAt(time.Now().Add(time.Minute)), wire.StampAt(time.Now())
		for _, stamp := range []wire.TAI64N{newer, older} {
			b.daemon.current().events <- conf.Event{Kind: conf.HandshakeDone, Peer: p.PublicKey, Endpoint: netip.MustParseAddrPort("192.0.2.7:7"), Time: time.Now(), Stamp: conf.Stamp(stamp)}
		}
		time.Sleep(3 * recordPause)
		if now, err := b.store.ByKey(t.Context(), p.PublicKey); err != nil || now.Seen.Stamp != newer {
			t.Errorf("the stamp is %v, %v", now.Seen.Stamp, err)
		}
	})
}

// Packets for an inner address that no peer has bring the peer of the store that has it, with
// where it was seen last. Others are refused.
func TestUnknownDestination(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, gone := b.add(1), b.add(2)
		b.revoke(gone)
		at := netip.MustParseAddrPort("192.0.2.7:7")
		b.see(p, at, wire.TAI64N{})
		send := func(address netip.Addr) {
			b.daemon.current().wants <- conf.Want{Kind: conf.UnknownDestination, Address: address}
		}
		send(p.AllowedIPs[0].Addr())
		b.until("the peer is lent", func() bool { return b.daemon.has(p.PublicKey) })
		if got := b.daemon.peer(p.PublicKey); got.Endpoint != at || b.daemon.calls(p.PublicKey) != 0 {
			t.Errorf("the interface has %+v", got)
		}
		for _, address := range []netip.Addr{gone.AllowedIPs[0].Addr(), netip.MustParseAddr("fd00::1")} {
			send(address)
			var refused []conf.Refusal
			b.until("it is refused", func() bool { refused = append(refused, b.daemon.takeRefused()...); return len(refused) > 0 })
			if last := refused[len(refused)-1]; last.Address != address || last.For != time.Minute {
				t.Errorf("refused: %v", refused)
			}
		}
	})
}
