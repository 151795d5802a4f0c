package core

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
	"wgd/key"
)

// A16, B36: both ends initiate at once, a thousand times, over paths of any delay,
// with and without reordering. Every staged packet arrives without a third
// initiation. Without reordering, both ends then send on the same session, which
// exactly one of them initiated.
func TestSimultaneousInitiation(t *testing.T) {
	for seed := range uint64(lessUnderRace(1000)) {
		w := newWorld(t, seed)
		a, b := w.pair()
		maxDelay := time.Duration(1+w.dice.Int64N(1000)) * time.Millisecond
		w.delay = func() time.Duration { return time.Duration(w.dice.Int64N(int64(maxDelay))) }
		steady := seed%2 == 0
		if steady {
			w.delay = func() time.Duration { return maxDelay }
		}
		w.jobDelay = func() time.Duration { return time.Duration(w.dice.Int64N(int64(time.Millisecond))) }
		a.send(b, "from a")
		w.run(time.Duration(w.dice.Int64N(int64(maxDelay))))
		b.send(a, "from b")
		w.run(5 * time.Second)
		if !slices.Equal(b.got, []string{"from a"}) || !slices.Equal(a.got, []string{"from b"}) {
			t.Fatalf("seed %d: a got %q, b got %q", seed, a.got, b.got)
		}
		if n := len(a.initiations()) + len(b.initiations()); n > 2 {
			t.Fatalf("seed %d: got %d initiations, want at most 2", seed, n)
		}
		checkSettled(t, seed, w, a, b, steady)
	}
}

// checkSettled lets both ends exchange packets, and, if same is true, checks that
// they send on the same session.
func checkSettled(t *testing.T, seed uint64, w *world, a, b *host, same bool) {
	t.Helper()
	a.got, b.got = nil, nil
	for i := range 4 {
		a.send(b, fmt.Sprint(i))
		w.run(2 * time.Second)
		b.send(a, fmt.Sprint(i))
		w.run(2 * time.Second)
	}
	if len(a.got) != 4 || len(b.got) != 4 {
		t.Fatalf("seed %d: afterwards a got %q, b got %q", seed, a.got, b.got)
	}
	checkIndices(t, a)
	checkIndices(t, b)
	if !same {
		return
	}
	ka, kb := a.peer(b).Sessions().Current, b.peer(a).Sessions().Current
	if ka.Local != kb.Remote || kb.Local != ka.Remote {
		t.Fatalf("seed %d: the two ends send on different sessions", seed)
	}
	if ka.Initiator == kb.Initiator {
		t.Fatalf("seed %d: both ends, or neither, initiated the session", seed)
	}
}

// A16: with traffic in both directions for a quarter of an hour, renewals of
// sessions lose no packet, and are no more frequent than necessary.
func TestRenewalLosesNothing(t *testing.T) {
	for seed := range uint64(lessUnderRace(4)) {
		w := newWorld(t, seed)
		a, b := w.pair()
		w.delay = func() time.Duration { return 150 * time.Millisecond }
		sent := 0
		for range 15 * 60 * 2 {
			a.send(b, "x")
			b.send(a, "y")
			sent++
			w.run(500 * time.Millisecond)
		}
		w.run(time.Second)
		if len(a.got) != sent || len(b.got) != sent {
			t.Errorf("seed %d: of %d packets in each direction, %d and %d arrived", seed, sent, len(b.got), len(a.got))
		}
		if n := len(a.initiations()) + len(b.initiations()); n > 15/2+2 {
			t.Errorf("seed %d: got %d initiations in a quarter of an hour, want at most 9", seed, n)
		}
	}
}

// B36, B35: after a path has lost a third of all packets, while both ends
// initiated, there is a working session again soon.
func TestLossyPath(t *testing.T) {
	for seed := range uint64(lessUnderRace(30)) {
		w := newWorld(t, seed)
		a, b := w.pair()
		w.lost = func(_, _ *host, _ []byte) bool { return w.dice.IntN(3) == 0 }
		w.delay = func() time.Duration { return time.Duration(w.dice.Int64N(int64(300 * time.Millisecond))) }
		for range 600 {
			if w.dice.IntN(2) == 0 {
				a.send(b, "x")
			}
			if w.dice.IntN(2) == 0 {
				b.send(a, "y")
			}
			w.run(time.Duration(w.dice.Int64N(int64(4 * time.Second))))
		}
		w.lost = nil
		w.run(30 * time.Second)
		a.got, b.got = nil, nil
		a.send(b, "x")
		b.send(a, "y")
		w.run(20 * time.Second)
		a.send(b, "x")
		b.send(a, "y")
		w.run(20 * time.Second)
		if len(a.got) == 0 || len(b.got) == 0 {
			t.Errorf("seed %d: there is no session after the loss has ended", seed)
		}
		checkIndices(t, a)
		checkIndices(t, b)
	}
}

// B25, A12: if the peer, the interface or its keys change while a job runs, no
// index leaks, and the next handshake works.
func TestChangesDuringHandshake(t *testing.T) {
	other := keyFor(99)
	var secret [32]byte
	secret[0] = 1
	psk := key.NewPreshared(&secret)
	var changed *host
	disturbances := map[string]func(h, peer *host){
		"peer removed": func(h, peer *host) {
			h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: peer.public, Remove: true}}})
		},
		"peer replaced": func(h, peer *host) {
			h.apply(conf.Change{ReplacePeers: true, Peers: []conf.PeerChange{h.about(peer)}})
		},
		"down and up": func(h, _ *host) { h.down(); h.up() },
		"another private key, and back": func(h, _ *host) {
			h.apply(conf.Change{PrivateKey: &other})
			h.apply(conf.Change{PrivateKey: &h.private})
		},
		"preshared key set and removed": func(h, peer *host) {
			none := key.Preshared{}
			h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: peer.public, PresharedKey: &psk}}})
			h.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: peer.public, PresharedKey: &none}}})
		},
	}
	for name, disturb := range disturbances {
		for step := range 6 {
			w := newWorld(t, uint64(step))
			a, b := w.pair()
			w.jobDelay = func() time.Duration { return 100 * time.Millisecond }
			changed = []*host{a, b}[step%2]
			a.send(b, "x")
			w.run(time.Duration(40+step/2*110) * time.Millisecond) // in the middle of each job
			disturb(changed, w.hosts[1-step%2])
			w.run(10 * time.Second)
			changed.apply(conf.Change{Peers: []conf.PeerChange{changed.about(w.hosts[1-step%2])}})
			checkIndices(t, a)
			checkIndices(t, b)
			w.run(20 * time.Second)
			a.got, b.got = nil, nil
			for range 50 {
				a.send(b, "y")
				b.send(a, "z")
				w.run(time.Second)
			}
			if len(a.got) < 20 || len(b.got) < 20 {
				t.Errorf("%s at step %d: %d and %d of 50 packets arrived afterwards, want at least 20", name, step, len(a.got), len(b.got))
			}
		}
	}
}

// A51, B12: of the messages of types 1 to 3, only an authenticated initiation or
// response changes the endpoint.
func TestEndpointFollowsHandshakes(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	nat := w.host().addr
	nat2 := w.host().addr
	a.addr = nat // the initiation arrives from another address
	a.send(b, "x")
	w.run(8 * time.Millisecond)
	w.run(time.Second)
	if got := b.status(a).Endpoint; got != nat {
		t.Errorf("after an initiation: got endpoint %v, want %v", got, nat)
	}
	w.run(3 * time.Minute)
	w.lost = func(from, _ *host, msg []byte) bool {
		if from == b && msg[0] == byte(wire.TypeResponse) {
			w.after(0, func() { a.receive(nat2, msg) }) // the response arrives from another address
			return true
		}
		return msg[0] == byte(wire.TypeData)
	}
	a.send(b, "x")
	w.run(time.Second)
	if got := a.status(b).Endpoint; got != nat2 {
		t.Errorf("after a response: got endpoint %v, want %v", got, nat2)
	}
	if e := a.peer(b).Location().Received(); e.Source != a.addr.Addr() || e.SourceIndex != 2 {
		t.Errorf("after a response: got sticky source %+v, want %v on interface 2", e, a.addr.Addr())
	}
	bad := append([]byte(nil), b.sent[0].msg...)
	bad[50] ^= 1
	a.receive(nat, bad)
	w.run(time.Second)
	if got := a.status(b).Endpoint; got != nat2 {
		t.Errorf("after a bad response: got endpoint %v, want %v", got, nat2)
	}
}

// A52: a retransmission forgets the sticky source.
func TestRetransmissionForgetsTheSource(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.peer(b).SetEndpoint(wire.NewEndpoint(b.addr, a.addr.Addr(), 3))
	w.lost = func(_, _ *host, _ []byte) bool { return true }
	a.send(b, "x")
	w.run(time.Second)
	if !a.peer(b).Endpoint().Source.IsValid() {
		t.Error("the source was forgotten too early")
	}
	w.run(5 * time.Second)
	if a.peer(b).Endpoint().Source.IsValid() {
		t.Error("the source was not forgotten")
	}
	mark := uint32(7)
	a.peer(b).SetEndpoint(wire.NewEndpoint(b.addr, a.addr.Addr(), 3))
	a.apply(conf.Change{FirewallMark: &mark})
	if a.peer(b).Endpoint().Source.IsValid() {
		t.Error("the source was not forgotten when the mark changed")
	}
}

// A25, A26, A8, B12: under load, the first initiation is answered with a cookie
// reply, which causes no message, changes no endpoint and is not counted; the
// retransmission has mac2 and is answered. The same holds for responses (A27).
func TestUnderLoad(t *testing.T) {
	for _, loaded := range []string{"responder", "initiator", "both"} {
		w := newWorld(t, 1)
		a, b := w.pair()
		a.gate.SetForce(loaded != "responder")
		b.gate.SetForce(loaded != "initiator")
		a.send(b, "x")
		w.run(4 * time.Second)
		if n := len(a.initiations()); n != 1 {
			t.Errorf("%s under load: got %d initiations, want 1: a cookie must not trigger one", loaded, n)
		}
		if loaded != "initiator" {
			if s := a.status(b); s.RxBytes != 0 || s.Endpoint != b.addr {
				t.Errorf("%s under load: a cookie reply changed the status: %+v", loaded, s)
			}
		}
		w.run(20 * time.Second)
		if !slices.Equal(b.got, []string{"x"}) {
			t.Errorf("%s under load: b got %q; a sent %v, b sent %v", loaded, b.got, kinds(a.sent), kinds(b.sent))
		}
		if a.replies+b.replies == 0 {
			t.Errorf("%s under load: no cookie reply was sent", loaded)
		}
	}
}

// A5, A7: a message that is not authentic gets no answer and changes nothing.
func TestUnauthenticatedInputChangesNothing(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	stranger := w.host()
	stranger.apply(conf.Change{Peers: []conf.PeerChange{stranger.about(b)}})
	stranger.up()
	a.send(b, "x")
	w.run(time.Second)
	before, sessions, indices, sent := b.status(a), *b.peer(a).Sessions(), b.index.Len(), len(b.sent)
	next, received := b.m.NextTimeout(), b.peer(a).LastReceived()

	stranger.send(b, "from an unknown key")
	var messages [][]byte
	for _, s := range append(slices.Clone(a.sent), b.sent...) {
		for range 200 {
			msg := slices.Clone(s.msg)
			msg[4+w.dice.IntN(len(msg)-4)] ^= byte(1 + w.dice.IntN(255))
			messages = append(messages, msg)
		}
	}
	for range 1000 {
		msg := make([]byte, []int{148, 92, 64}[w.dice.IntN(3)])
		for i := range msg {
			msg[i] = byte(w.dice.Uint32())
		}
		copy(msg, []byte{byte(1 + w.dice.IntN(3)), 0, 0, 0})
		messages = append(messages, msg)
	}
	for _, msg := range messages {
		// Directly to the machine, because mac1 proves nothing.
		b.m.Receive(b.time(), wire.NewEndpoint(stranger.addr, b.addr.Addr(), 0), msg)
		b.drain()
	}
	w.run(0)
	after := b.status(a)
	before.Observations, after.Observations = nil, nil // they are only shown
	if fmt.Sprint(after) != fmt.Sprint(before) || *b.peer(a).Sessions() != sessions || b.index.Len() != indices ||
		len(b.sent) != sent || b.m.NextTimeout() != next || b.peer(a).LastReceived() != received {
		t.Errorf("the state changed: got %+v, want %+v", after, before)
	}
}

// A10, B41: both messages are refused if their ephemeral key is a point of low
// order, and the next handshake works.
func TestEphemeralOfLowOrder(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	corrupt := true
	w.lost = func(from, to *host, msg []byte) bool {
		if !corrupt || msg[0] == byte(wire.TypeData) {
			return false
		}
		at := 8 // offset of the ephemeral key in an initiation
		if msg[0] == byte(wire.TypeResponse) {
			at = 12
		}
		bad := slices.Clone(msg)
		clear(bad[at : at+key.Size])
		to.m.Receive(to.time(), wire.NewEndpoint(from.addr, to.addr.Addr(), 0), bad)
		to.drain()
		return msg[0] == byte(wire.TypeResponse)
	}
	a.send(b, "x")
	w.run(4 * time.Second)
	if a.peer(b).Sessions().Current != nil {
		t.Fatal("a bad response was accepted")
	}
	corrupt = false
	w.run(5 * time.Second)
	if !slices.Equal(b.got, []string{"x"}) {
		t.Errorf("b got %q", b.got)
	}
}
