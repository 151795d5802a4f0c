package serve

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/wire"
	"wgd/key"
)

// A revocation that one error of the connection stops is made a moment later, and so is the
// loan of a peer that was wanted.
func TestConnectionBreaks(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, q := b.add(1), b.add(2)
		b.lend(p)
		broken := 2
		b.daemon.reject = func(conf.Change) error {
			if broken--; broken >= 0 {
				return errors.New("broken pipe")
			}
			return nil
		}
		b.revoke(p)
		b.daemon.ask(q.PublicKey)
		if took := b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) }); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		b.until("the wanted peer is lent", func() bool { return b.daemon.has(q.PublicKey) })
		if broken >= 0 {
			t.Error("the connection was not broken")
		}
	})
}

// A peer whose loan was made, but not answered, is looked after like the others: what is seen of
// it is recorded, and it goes when it is revoked.
func TestAnswerIsLost(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		lost := false
		b.daemon.lose = func() error {
			if lost {
				return nil
			}
			lost = true
			return errors.New("broken pipe")
		}
		b.lend(p)
		time.Sleep(100 * time.Millisecond)
		at := netip.MustParseAddrPort("192.0.2.7:7")
		b.daemon.current().events <- conf.Event{Kind: conf.HandshakeDone, Peer: p.PublicKey, Endpoint: at, Time: time.Now()}
		time.Sleep(100 * time.Millisecond)
		b.revoke(p)
		if took := b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) }); took > time.Second {
			t.Errorf("it took %v", took)
		}
		time.Sleep(2 * recordPause)
		if now, err := b.store.ByKey(t.Context(), p.PublicKey); err != nil || now.Seen.Endpoint != at || !lost {
			t.Errorf("the store has %+v, %v", now.Seen, err)
		}
	})
}

// What changes are lost while the daemon is away is found when the same daemon is back.
func TestEventsBreak(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		b.store.deaf = true
		b.revoke(p)
		time.Sleep(time.Minute)
		b.daemon.mu.Lock()
		r := b.daemon.running
		close(r.ended)
		b.daemon.running = &run{name: r.name, ended: make(chan struct{}), wants: r.wants, events: r.events}
		b.daemon.mu.Unlock()
		b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) })
	})
}

// A change that cannot be sent does no harm to the others of its batch.
func TestInvalidTogether(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		var batch batch
		s := b.server.interfaces[0]
		for n := range byte(3) {
			p := peer(n)
			p.Name = "both"
			if n == 2 {
				p.Name = "third"
			}
			c, err := lend(p, 300, false, p.Seen.Endpoint)
			if err != nil {
				t.Fatal(err)
			}
			s.mu.Lock()
			s.change(&batch, answer{task: &task{subject: subject{key: p.PublicKey}, peer: p}}, c)
			s.mu.Unlock()
		}
		s.apply(t.Context(), &batch)
		if !b.daemon.has(peer(2).PublicKey) {
			t.Error("the third peer is not lent")
		}
	})
}

// An event of a peer that arrives before the answer that it is lent is not lost.
func TestEventBeforeAnswer(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, stranger := b.add(1), b.add(2)
		b.daemon.slow = time.Second
		b.daemon.ask(p.PublicKey)
		time.Sleep(100 * time.Millisecond)
		at := netip.MustParseAddrPort("192.0.2.7:7")
		for _, p := range []*store.Peer{p, stranger} {
			b.daemon.current().events <- conf.Event{Kind: conf.HandshakeDone, Peer: p.PublicKey, Endpoint: at, Time: time.Now(), Stamp: conf.Stamp(wire.StampAt(time.Now()))}
		}
		time.Sleep(3 * recordPause)
		now, err := b.store.ByKey(t.Context(), p.PublicKey)
		if err != nil || now.Seen.Endpoint != at || now.Seen.Stamp == (wire.TAI64N{}) {
			t.Errorf("the store has %+v, %v", now.Seen, err)
		}
		if list := b.server.interfaces[0].heldPeers(); len(list) != 1 || list[0].Endpoint != at.String() {
			t.Errorf("the peers are %+v", list)
		}
		if now, err := b.store.ByKey(t.Context(), stranger.PublicKey); err != nil || now.Seen.Endpoint.IsValid() {
			t.Errorf("another peer was seen: %+v, %v", now.Seen, err)
		}
	})
}

// Data that comes before the initiation of the same client does not make that refused, also
// if no handshake may be initiated.
func TestDataAndInitiation(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p, r := b.add(1), b.add(2)
		at, other := netip.MustParseAddrPort("192.0.2.7:7"), netip.MustParseAddrPort("192.0.2.8:8")
		b.see(p, at, wire.TAI64N{})
		b.see(r, other, wire.TAI64N{})
		s := b.server.interfaces[0]
		s.mu.Lock()
		s.calls.last[p.PublicKey], s.calls.last[r.PublicKey] = time.Now(), time.Now()
		s.mu.Unlock()
		b.store.delay = 100 * time.Millisecond
		for _, e := range []netip.AddrPort{at, other} {
			b.daemon.hear(e)
		}
		time.Sleep(150 * time.Millisecond) // the look-ups of the keys have begun
		b.daemon.ask(p.PublicKey)
		b.daemon.current().wants <- conf.Want{Kind: conf.UnknownDestination, Address: r.AllowedIPs[0].Addr()}
		b.until("both peers are lent", func() bool { return b.daemon.has(p.PublicKey) && b.daemon.has(r.PublicKey) })
		for _, refused := range b.daemon.takeRefused() {
			if refused.Key == p.PublicKey {
				t.Error("the initiation was refused")
			}
		}
		if n := b.daemon.calls(p.PublicKey) + b.daemon.calls(r.PublicKey); n != 0 {
			t.Errorf("%d handshakes were initiated", n)
		}
	})
}

// A lent peer that somebody deletes in the interface, which is no event, has its endpoint when
// it is lent again, whatever asks for it.
func TestDeletedByHand(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		at := netip.MustParseAddrPort("192.0.2.7:7")
		b.see(p, at, wire.TAI64N{})
		b.lend(p)
		for _, want := range []conf.Want{{Kind: conf.UnknownPeerKey, Key: p.PublicKey}, {Kind: conf.UnknownDestination, Address: p.AllowedIPs[0].Addr()}} {
			time.Sleep(time.Minute)
			b.daemon.mu.Lock()
			delete(b.daemon.peers, p.PublicKey)
			b.daemon.mu.Unlock()
			b.daemon.current().wants <- want
			b.until("the peer is lent", func() bool { return b.daemon.has(p.PublicKey) })
			if got := b.daemon.peer(p.PublicKey).Endpoint; got != at {
				t.Errorf("%s: the endpoint is %v", want.Kind, got)
			}
		}
	})
}

// A revocation does not wait behind wants, however many there are.
func TestRevocationBeforeWants(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		b.store.delay = 100 * time.Millisecond
		for n := range 1000 {
			b.daemon.ask(key.Public{byte(n), byte(n >> 8), 1})
		}
		b.revoke(p)
		if took := b.until("the revoked peer is out", func() bool { return !b.daemon.has(p.PublicKey) }); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A store that fails is one that fails also if only a record shows it, and it works when it
// works again, though nobody asks for anything.
func TestStoreWorksAgain(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		p := b.add(1)
		b.lend(p)
		time.Sleep(time.Minute)
		failing := func() bool { return b.server.reports()[0].Failing != nil }
		b.store.fail(errors.New("the disk is full"))
		b.daemon.current().events <- conf.Event{Kind: conf.HandshakeDone, Peer: p.PublicKey, Endpoint: netip.MustParseAddrPort("192.0.2.7:7"), Time: time.Now()}
		b.until("the store fails", failing)
		b.store.fail(nil)
		if took := b.until("the store works", func() bool { return !failing() }); took > 2*recordPause {
			t.Errorf("after a record, it took %v", took)
		}
		b.server.storeFailed(errors.New("its changes cannot be read"))
		if took := b.until("the store works", func() bool { return !failing() }); took > 2*probePause {
			t.Errorf("without use, it took %v", took)
		}
	})
}

// A peer that is added after its refusal is lent also if the change is lost; later it has to
// be heard again.
func TestAddedAfterRefusalUnseen(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		for n := range byte(2) {
			b.daemon.ask(peer(n).PublicKey)
			b.until("it is refused", func() bool { return len(b.daemon.takeRefused()) > 0 })
			b.store.deaf = n == 0
			if n == 1 {
				time.Sleep(3 * refusalAge)
			}
			p := b.add(n)
			time.Sleep(time.Second)
			b.server.changed(store.Changes{Lost: n == 0})
			time.Sleep(2 * time.Second)
			if b.daemon.has(p.PublicKey) != (n == 0) {
				t.Errorf("peer %d: it is lent: %v", n, n != 0)
			}
		}
	})
}

// An error of the daemon is logged with the name of the interface once.
func TestNameOfInterfaceOnce(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		b.daemon.stop()
		time.Sleep(2 * time.Second)
		if log := b.log.String(); strings.Contains(log, "wg0: wg0:") || !strings.Contains(log, "wg0: not running: waiting") {
			t.Errorf("the log has\n%s", log)
		}
	})
}
