package core

import (
	"context"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/unknown"
	"wgd/internal/wire"
)

// A wanting is a host that has a subscriber to its wants, and a client that it does not
// know as a peer yet.
type wanting struct {
	*world
	gateway, client *host
	subscriber      *unknown.Subscriber
}

func newWanting(t *testing.T) *wanting {
	w := newWorld(t, 1)
	g := &wanting{world: w, gateway: w.host(), client: w.host()}
	g.client.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.gateway.public, Endpoint: &g.gateway.addr}}})
	g.gateway.up()
	g.client.up()
	g.subscriber = g.gateway.unknown.Subscribe()
	return g
}

// wants returns the wants that wait for the subscriber.
func (g *wanting) wants() (list []conf.Want) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	for {
		w, ok := g.subscriber.Next(ctx)
		if !ok {
			return list
		}
		list = append(list, w)
	}
}

func (g *wanting) bring() {
	g.gateway.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.client.public}}})
}

func (h *host) sentOf(kind wire.Type) (n int) {
	for _, s := range h.sent {
		if s.kind == kind {
			n++
		}
	}
	return n
}

// An initiation of an unknown key is reported once, and answered as soon as there is a
// peer with the key: the client need not try again.
func TestUnknownKeyIsAnsweredWhenAdded(t *testing.T) {
	g := newWanting(t)
	g.client.send(g.gateway, "first")
	g.run(50 * time.Millisecond)
	want := conf.Want{Kind: conf.UnknownPeerKey, Key: g.client.public, Endpoint: g.client.addr}
	if got := g.wants(); !slices.Equal(got, []conf.Want{want}) {
		t.Fatalf("wants %+v, want %+v", got, want)
	}
	if len(g.gateway.sent) != 0 || len(g.gateway.accepted) != 0 || len(g.gateway.events) != 0 {
		t.Fatalf("before the peer is added, %d messages, %v", len(g.gateway.sent), g.gateway.events) // A5, A7
	}
	g.bring()
	g.run(100 * time.Millisecond)
	if !slices.Equal(g.gateway.got, []string{"first"}) || g.client.sentOf(wire.TypeInitiation) != 1 {
		t.Errorf("received %q after %d initiations, want the packet after one", g.gateway.got, g.client.sentOf(wire.TypeInitiation))
	}
	if g.gateway.status(g.client).Endpoint != g.client.addr {
		t.Errorf("endpoint %v", g.gateway.status(g.client).Endpoint)
	}
}

// Without a subscriber, and when the last has gone, an initiation of an unknown key is
// dropped and leaves nothing (A5).
func TestUnknownKeyWithoutSubscriber(t *testing.T) {
	g := newWanting(t)
	g.client.send(g.gateway, "first")
	g.run(50 * time.Millisecond)
	g.gateway.unknown.Unsubscribe(g.subscriber)
	g.bring()
	g.run(time.Second)
	if len(g.gateway.sent) != 0 {
		t.Error("what was kept is answered after the subscriber has gone")
	}
	g.gateway.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.client.public, Remove: true}}})
	g.run(5 * time.Second)
	g.bring()
	g.run(time.Second)
	if len(g.gateway.sent) != 0 || len(g.gateway.events) == 0 {
		t.Errorf("without a subscriber: %d messages, events %v", len(g.gateway.sent), g.gateway.events)
	}
}

// A refused key is not reported again for a minute, or for as long as the refusal says,
// and what was kept for it is dropped.
func TestRefusedKey(t *testing.T) {
	g := newWanting(t)
	g.client.send(g.gateway, "first")
	g.run(50 * time.Millisecond)
	g.wants()
	g.gateway.unknown.Refuse(g.now, conf.Refusal{Key: g.client.public, For: conf.MaxRefusal})
	g.run(58 * time.Second)
	if got := g.wants(); len(got) != 0 {
		t.Errorf("within a minute after a refusal: %+v", got)
	}
	g.run(10 * time.Second)
	if got := g.wants(); len(got) != 1 {
		t.Fatalf("after a minute: %+v", got)
	}
	g.gateway.unknown.Refuse(g.now, conf.Refusal{Key: g.client.public})
	g.bring()
	if n := len(g.gateway.sent); n != 0 {
		t.Errorf("%d messages for what was refused", n)
	}
	g.gateway.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.client.public, Remove: true}}})
	g.run(6 * time.Second)
	if got := g.wants(); len(got) != 1 {
		t.Errorf("after a refusal for no time: %+v", got)
	}
}

// Nobody answers a want: later initiations replace the first, are not reported within a
// minute, and the newest is answered.
func TestNewestInitiationIsKept(t *testing.T) {
	g := newWanting(t)
	g.client.send(g.gateway, "first")
	g.run(12 * time.Second)
	if got := g.wants(); len(got) != 1 || g.client.sentOf(wire.TypeInitiation) != 3 {
		t.Fatalf("%d wants for %d initiations", len(got), g.client.sentOf(wire.TypeInitiation))
	}
	g.bring()
	g.run(100 * time.Millisecond)
	if !slices.Equal(g.gateway.got, []string{"first"}) || g.gateway.sentOf(wire.TypeResponse) != 1 {
		t.Errorf("received %q with %d responses", g.gateway.got, g.gateway.sentOf(wire.TypeResponse))
	}
}

// An initiation that is older than its sender's patience is not answered.
func TestOldInitiationIsNotAnswered(t *testing.T) {
	g := newWanting(t)
	g.lost = func(from, _ *host, _ []byte) bool {
		return from == g.client && g.client.sentOf(wire.TypeInitiation) > 1
	}
	g.client.send(g.gateway, "first")
	g.run(5100 * time.Millisecond)
	g.bring()
	g.run(time.Second)
	if n := len(g.gateway.sent); n != 0 {
		t.Errorf("%d messages for an initiation of 5 seconds ago", n)
	}
}

// A removed peer is not resurrected: neither by the initiation that is being answered
// when it is removed, nor by what was kept for it before.
func TestRemovedPeerIsNotResurrected(t *testing.T) {
	g := newWanting(t)
	g.client.send(g.gateway, "first")
	g.run(50 * time.Millisecond)
	g.jobDelay = func() time.Duration { return 30 * time.Millisecond }
	g.bring()
	g.run(45 * time.Millisecond) // the second job runs
	g.gateway.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.client.public, Remove: true}}})
	g.run(time.Second)
	if len(g.gateway.sent) != 0 || len(g.gateway.m.Peers()) != 0 || g.gateway.index.Len() != 0 {
		t.Errorf("%d messages, %d peers, %d indices", len(g.gateway.sent), len(g.gateway.m.Peers()), g.gateway.index.Len())
	}
	g.bring()
	g.run(time.Second)
	if len(g.gateway.sent) != 0 {
		t.Error("what was kept is answered twice")
	}
}

// What is kept for an unknown key is dropped when the interface goes down, and means
// nothing to another private key.
func TestKeptInitiationIsChecked(t *testing.T) {
	g := newWanting(t)
	g.client.send(g.gateway, "first")
	g.run(50 * time.Millisecond)
	g.gateway.down()
	g.gateway.up()
	g.bring()
	g.run(time.Second)
	if len(g.gateway.sent) != 0 {
		t.Error("what was kept is answered after the interface was down (A61)")
	}
	g.run(20 * time.Second)
	if len(g.gateway.got) != 1 {
		t.Fatalf("received %q", g.gateway.got)
	}
	// The recorded initiation arrives again, at a gateway that has forgotten the peer.
	g.gateway.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: g.client.public, Remove: true}}})
	responses := g.gateway.sentOf(wire.TypeResponse)
	for _, s := range g.client.sent {
		if s.kind == wire.TypeInitiation {
			g.gateway.receive(g.client.addr, s.msg)
		}
	}
	g.gateway.apply(conf.Change{PrivateKey: &g.client.private, Peers: []conf.PeerChange{{PublicKey: g.gateway.public}}})
	g.bring()
	g.run(time.Second)
	if n := g.gateway.sentOf(wire.TypeResponse); n != responses {
		t.Error("an initiation to the private key before is answered")
	}
}
