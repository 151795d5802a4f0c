package core

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/resolve/names"
	"wgd/internal/wire"
	"wgd/key"
)

const hostName = "b.example"

// A directory is the Resolver of a host: a names.Machine whose lookups take no time.
type directory struct {
	h       *host
	m       *names.Machine
	addrs   []netip.Addr // of hostName; none: lookups fail
	ttl     time.Duration
	lookups int
}

// named makes h follow hostName for its peer b, without any other endpoint.
func (h *host) named(b *host, ttl time.Duration, addrs ...netip.Addr) *directory {
	d := &directory{h: h, m: names.New(rand.NewChaCha8([32]byte{1})), addrs: addrs, ttl: ttl}
	h.m.resolver = d
	h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, Remove: true}}})
	change := h.about(b)
	text := hostName + ":51820"
	change.Endpoint, change.EndpointName = nil, &text
	h.apply(conf.Change{Peers: []conf.PeerChange{change}})
	d.tick()
	return d
}

// tick does what a follow.Follower and an engine do.
func (d *directory) tick() {
	now := d.h.w.now
	for name, ok := d.m.NextAsk(now); ok; name, ok = d.m.NextAsk(now) {
		d.lookups++
		if len(d.addrs) == 0 {
			d.m.Failed(now, name, 0, "it does not exist")
			continue
		}
		d.m.Answered(now, name, names.Answer{Addresses: d.addrs, TTL: d.ttl})
	}
	for use, ok := d.m.NextUse(); ok; use, ok = d.m.NextUse() {
		d.h.m.Resolved(d.h.time(), use.Peer, use.Endpoint, use.Moved)
	}
	d.h.drain()
	d.h.w.after(50*time.Millisecond, d.tick)
}

func (d *directory) Set(id key.Public, name string, port uint16, current netip.AddrPort) {
	d.m.Set(d.h.w.now, id, name, port, current)
}
func (d *directory) Remove(id key.Public)                     { d.m.Remove(id) }
func (d *directory) Pause()                                   { d.m.Pause() }
func (d *directory) Resume()                                  { d.m.Resume(d.h.w.now) }
func (d *directory) Heard(id key.Public, from netip.AddrPort) { d.m.Heard(id, from) }
func (d *directory) Silent(id key.Public)                     { d.m.Silent(d.h.w.now, id) }
func (d *directory) Unanswered(id key.Public) (netip.AddrPort, bool) {
	return d.m.Unanswered(d.h.w.now, id)
}
func (d *directory) Refused(id key.Public) (netip.AddrPort, bool) { return d.m.Refused(d.h.w.now, id) }

// until runs the world until the condition holds, and returns how long that took.
func (w *world) until(limit time.Duration, holds func() bool) time.Duration {
	w.t.Helper()
	began := w.now
	for !holds() {
		if w.now.Sub(began) > limit {
			w.t.Fatalf("not within %v", limit)
		}
		w.run(50 * time.Millisecond)
	}
	return w.now.Sub(began)
}

// chat sends a packet from a to b each second, for ever.
func chat(w *world, a, b *host) {
	a.send(b, "x")
	w.after(time.Second, func() { chat(w, a, b) })
}

var nobody6, nobody4 = netip.MustParseAddr("2001:db8::77"), netip.MustParseAddr("192.0.2.77")

// A lookup that fails is repeated, and the first answer begins the handshake for which
// packets wait.
func TestPacketWaitsForName(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	d := a.named(b, time.Hour)
	a.send(b, "x")
	w.run(20 * time.Second)
	if len(a.sent) > 0 || d.lookups < 3 {
		t.Fatalf("%d datagrams to nowhere, %d lookups", len(a.sent), d.lookups)
	}
	d.addrs = []netip.Addr{b.addr.Addr()}
	w.until(31*time.Second, func() bool { return len(b.got) > 0 })
	if s := a.status(b); s.EndpointName != hostName+":51820" || s.Endpoint != b.addr {
		t.Errorf("status: %+v", s)
	}
}

// A handshake that is not answered is followed by one with the next address, which is of
// the other family.
func TestNextAddressOfName(t *testing.T) {
	w := newWorld(t, 2)
	a, b := w.pair()
	a.named(b, time.Hour, nobody4, nobody6, b.addr.Addr())
	a.send(b, "x")
	w.until(12*time.Second, func() bool { return len(b.got) > 0 })
	var tried []netip.Addr
	for _, s := range a.sent[:3] {
		tried = append(tried, s.to.Addr())
	}
	if tried[0] != nobody6 || tried[1] != nobody4 || tried[2] != b.addr.Addr() {
		t.Errorf("tried %v", tried)
	}
	w.run(10 * time.Minute)
	if s := a.status(b); s.Endpoint != b.addr {
		t.Errorf("endpoint %v, want the one that answered", s.Endpoint)
	}
}

// A changed record is in use within the lesser of its TTL and 15 s of silence.
func TestRecordChanges(t *testing.T) {
	for _, c := range []struct{ ttl, limit time.Duration }{{time.Hour, 15 * time.Second}, {4 * time.Second, 6 * time.Second}} {
		w := newWorld(t, 3)
		a, b := w.pair()
		d := a.named(b, c.ttl, b.addr.Addr())
		chat(w, a, b)
		w.run(5*time.Minute + 500*time.Millisecond) // no packet is on its way
		if len(b.got) < 290 {
			t.Fatalf("%d packets arrived", len(b.got))
		}
		b.addr = netip.AddrPortFrom(netip.MustParseAddr("192.0.3.9"), 51820)
		d.addrs = []netip.Addr{b.addr.Addr()}
		// What b sends itself from there would tell a the address (A51).
		w.lost = func(from, _ *host, _ []byte) bool { return from == b && a.status(b).Endpoint != b.addr }
		n := len(b.got)
		if took := w.until(time.Minute, func() bool { return len(b.got) > n }); took < time.Second/2 || took > c.limit {
			t.Errorf("TTL %v: the new address was in use after %v, want at most %v", c.ttl, took, c.limit)
		}
	}
}

// A peer that has moved by itself stays where it was heard from, whatever its name says,
// until it is silent. It does not matter whether a handshake or data came from there.
func TestRoamedPeerKeepsEndpoint(t *testing.T) {
	w := newWorld(t, 4)
	a, b := w.pair()
	home := b.addr
	d := a.named(b, time.Minute, home.Addr())
	chat(w, a, b)
	w.run(10*time.Second + 500*time.Millisecond)
	b.addr = netip.AddrPortFrom(netip.MustParseAddr("192.0.3.9"), 4444)
	d.addrs = []netip.Addr{netip.MustParseAddr("192.0.3.8")} // found before the next handshake
	chat(w, b, a)
	w.run(90 * time.Second)
	if s := a.status(b); s.Endpoint != b.addr || d.lookups < 2 {
		t.Fatalf("endpoint %v after %d lookups, want %v, from which data came", s.Endpoint, d.lookups, b.addr)
	}
	w.run(30 * time.Minute)
	if s := a.status(b); s.Endpoint != b.addr || d.lookups < 20 {
		t.Fatalf("endpoint %v after %d lookups, want %v", s.Endpoint, d.lookups, b.addr)
	}
	other := netip.MustParseAddr("192.0.3.10") // the name moves too
	d.addrs = []netip.Addr{other}
	w.run(10 * time.Minute)
	if s := a.status(b); s.Endpoint != b.addr {
		t.Fatalf("endpoint %v although the peer is heard from %v", s.Endpoint, b.addr)
	}
	b.addr = netip.AddrPortFrom(other, 51820) // and is then found only where its name is
	w.lost = func(from, _ *host, _ []byte) bool { return from == b && a.status(b).Endpoint.Addr() != other }
	n := len(b.got)
	w.until(15*time.Second, func() bool { return len(b.got) > n })
}

// roam makes data come to h from another endpoint of its peer, which only the data plane
// sees (A51).
func (h *host) roam(peer *host, to netip.AddrPort) {
	h.peer(peer).SetEndpoint(wire.NewEndpoint(to, h.addr.Addr(), 2))
}

// An address that was found for a name is not used if data came from elsewhere
// meanwhile, even if the machine has not looked at the peer since. A51
func TestFoundWhileRoaming(t *testing.T) {
	w := newWorld(t, 7)
	a, b := w.pair()
	d := a.named(b, time.Hour, b.addr.Addr())
	a.send(b, "x")
	w.run(time.Second)
	moved := netip.MustParseAddrPort("192.0.3.9:4444")
	a.roam(b, moved)
	a.m.Resolved(a.time(), b.public, netip.AddrPortFrom(nobody4, 51820), true)
	if s, _ := d.m.Status(b.public); a.status(b).Endpoint != moved || s.Endpoint != moved {
		t.Errorf("the endpoint is %v, and the Resolver believes %v, want %v", a.status(b).Endpoint, s.Endpoint, moved)
	}
}

// The Resolver learns where a peer is and that it answered from the next look at the
// peer, without a handshake: otherwise it would still try other addresses.
func TestResolverLearnsAtLook(t *testing.T) {
	w := newWorld(t, 8)
	a, b := w.pair()
	d := a.named(b, time.Hour, b.addr.Addr())
	a.send(b, "x")
	w.run(time.Second)
	moved := netip.MustParseAddrPort("192.0.3.9:4444")
	a.roam(b, moved)
	a.m.Wake(a.time(), a.peer(b))
	if s, _ := d.m.Status(b.public); s.Endpoint != moved {
		t.Errorf("the Resolver believes %v, want %v", s.Endpoint, moved)
	}

	// Silent for 12 s, and then heard again. A second address is no reason to move.
	a.roam(b, b.addr)
	a.m.Wake(a.time(), a.peer(b))
	sessions := len(b.events)
	w.lost = func(from, _ *host, _ []byte) bool { return from == a }
	a.send(b, "y")
	w.run(12 * time.Second)
	w.lost = nil
	b.send(a, "z")
	w.run(5 * time.Second) // until the look for the handshake that would be due now
	if len(b.events) != sessions || d.lookups < 2 {
		t.Fatalf("a handshake or no lookup: %v, %d lookups", b.events[sessions:], d.lookups)
	}
	d.m.NetworkChanged(w.now)
	d.addrs = append(d.addrs, nobody4)
	w.run(time.Minute)
	tried := slices.ContainsFunc(a.sent, func(s sent) bool { return s.to.Addr() == nobody4 })
	if tried || d.lookups < 3 {
		t.Errorf("after %d lookups, was %v tried: %t; data came from %v", d.lookups, nobody4, tried, b.addr)
	}
}

// A message that the socket refuses is sent to the next address at once, and each
// address only once.
func TestRefusedAddress(t *testing.T) {
	w := newWorld(t, 5)
	a, b := w.pair()
	d := a.named(b, time.Hour, nobody4, nobody6)
	w.run(time.Second)
	if to, ok := a.m.Refused(a.time(), a.peer(b)); !ok || to.Remote.Addr() != nobody4 || a.status(b).Endpoint.Addr() != nobody4 {
		t.Errorf("got %v, %v, want %v", to, ok, nobody4)
	}
	if to, ok := a.m.Refused(a.time(), a.peer(b)); ok {
		t.Errorf("all addresses were refused, but %v is next", to)
	}
	d.addrs = nil
}

// An address takes the place of a name, and a removed peer follows none.
func TestNameIsRemoved(t *testing.T) {
	w := newWorld(t, 6)
	a, b := w.pair()
	d := a.named(b, time.Hour, nobody4)
	followed := func() bool { _, ok := d.m.Status(b.public); return ok }
	if !followed() {
		t.Fatal("the name is not followed")
	}
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, Endpoint: &b.addr}}})
	w.run(time.Minute)
	if s := a.status(b); s.EndpointName != "" || s.Endpoint != b.addr || followed() {
		t.Errorf("after an address was set: %+v", s)
	}
	text, none := hostName+":51820", ""
	for _, change := range []conf.PeerChange{{PublicKey: b.public, EndpointName: &none}, {PublicKey: b.public, Remove: true}} {
		a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, EndpointName: &text}}})
		if !followed() {
			t.Fatal("the name is not followed")
		}
		if a.apply(conf.Change{Peers: []conf.PeerChange{change}}); followed() {
			t.Errorf("after %+v: the name is still followed", change)
		}
	}
}

// While the interface is down, names are not looked up again. When it is up, what was due
// is done.
func TestNoLookupsWhileDown(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	d := a.named(b, time.Minute, b.addr.Addr())
	w.run(90 * time.Second)
	if d.lookups != 2 {
		t.Fatalf("%d lookups in 90s with a TTL of a minute", d.lookups)
	}
	a.down()
	w.run(time.Hour)
	if d.lookups != 2 {
		t.Errorf("%d lookups while the interface was down", d.lookups-2)
	}
	a.up()
	w.run(time.Second)
	if d.lookups != 3 {
		t.Errorf("%d lookups when it was up again, want 1", d.lookups-2)
	}
}
