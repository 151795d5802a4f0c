package core

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/noise"
	"wgd/internal/session"
	"wgd/internal/wire"
	"wgd/key"
)

// A34, B39, A42: packets staged before there is a session are sent in order as
// soon as there is one. B24: the byte counters are exact on both sides.
func TestFirstPackets(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	for i := range 5 {
		a.send(b, fmt.Sprint("packet ", i))
	}
	w.run(time.Second)
	want := []string{"packet 0", "packet 1", "packet 2", "packet 3", "packet 4"}
	if !slices.Equal(b.got, want) {
		t.Fatalf("b got %q", b.got)
	}
	data := uint64(5 * (32 + len("packet 0")))
	if s := a.status(b); s.TxBytes != 148+data || s.RxBytes != 92 {
		t.Errorf("a counts %d bytes sent and %d received, want %d and 92", s.TxBytes, s.RxBytes, 148+data)
	}
	if s := b.status(a); s.RxBytes != 148+data || s.TxBytes != 92 {
		t.Errorf("b counts %d bytes received and %d sent, want %d and 92", s.RxBytes, s.TxBytes, 148+data)
	}
	if a.status(b).LastHandshake.IsZero() || b.status(a).LastHandshake.IsZero() {
		t.Error("the status has no time of the last handshake")
	}
}

// A34, A33: an initiator without data confirms the session with a keepalive; until
// then, the responder sends nothing on it.
func TestInitiatorSendsFirst(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	w.lost = func(_, _ *host, msg []byte) bool { return msg[0] == byte(wire.TypeData) }
	a.send(b, "lost")
	w.run(time.Second)
	if s := b.peer(a).Sessions(); s.Next == nil || s.Current != nil {
		t.Fatalf("before confirmation, the responder has %+v", s)
	}
	b.send(a, "answer")
	w.run(time.Second)
	if n := kinds(b.sent)[wire.TypeData]; n != 0 {
		t.Fatalf("the responder sent %d data messages before confirmation", n)
	}
	w.lost = nil
	a.m.emit(Output{Kind: Keepalive, Peer: a.peer(b)})
	a.drain()
	w.run(time.Second)
	if !slices.Equal(a.got, []string{"answer"}) {
		t.Errorf("a got %q after confirmation", a.got)
	}
	if s := b.peer(a).Sessions(); s.Next != nil || s.Current == nil || s.Current.Initiator {
		t.Errorf("after confirmation, the responder has %+v", s)
	}
}

// B10: no unnecessary message is sent: one packet takes three messages, and the
// receiver's keepalive 10 s later is the fourth.
func TestOnePacketCostsFourMessages(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(9 * time.Second)
	if len(a.sent) != 2 || len(b.sent) != 1 {
		t.Fatalf("a sent %v, b sent %v", kinds(a.sent), kinds(b.sent))
	}
	w.run(5 * time.Minute)
	if len(a.sent) != 2 || len(b.sent) != 2 || b.sent[1].size != wire.MinDataSize {
		t.Fatalf("a sent %v, b sent %v", kinds(a.sent), kinds(b.sent))
	}
}

// A13, B28, A5: forged responses before, during and after the genuine one have no
// effect, in whatever order the jobs end.
func TestForgedResponses(t *testing.T) {
	for order := range 3 {
		w := newWorld(t, uint64(order))
		a, b := w.pair()
		var responses [][]byte
		w.lost = func(_, _ *host, msg []byte) bool {
			if msg[0] == byte(wire.TypeResponse) {
				responses = append(responses, msg)
				return true
			}
			return false
		}
		a.send(b, "x")
		w.run(time.Second)
		genuine := responses[0]
		a.hold = true
		for bit := range 8 {
			forged := slices.Clone(genuine)
			forged[12+bit] ^= 1
			a.m.Receive(a.time(), wire.NewEndpoint(b.addr, a.addr.Addr(), 0), forged)
		}
		a.m.Receive(a.time(), wire.NewEndpoint(b.addr, a.addr.Addr(), 0), genuine)
		a.m.Receive(a.time(), wire.NewEndpoint(b.addr, a.addr.Addr(), 0), genuine)
		a.drain()
		if len(a.jobs) != 10 {
			t.Fatalf("got %d jobs, want 10", len(a.jobs))
		}
		own := a.member(b).own
		for _, j := range a.jobs {
			j.Run()
		}
		if order == 1 {
			slices.Reverse(a.jobs)
		} else if order == 2 {
			w.dice.Shuffle(len(a.jobs), func(i, j int) { a.jobs[i], a.jobs[j] = a.jobs[j], a.jobs[i] })
		}
		before := a.status(b)
		for _, j := range a.jobs {
			a.finish(j)
		}
		if !reflect.ValueOf(own.hs).Elem().IsZero() || own.jobs != 0 {
			t.Error("the handshake was not erased after its last job (A35)")
		}
		w.run(time.Second)
		if !slices.Equal(b.got, []string{"x"}) {
			t.Fatalf("order %d: b got %q", order, b.got)
		}
		if got := a.status(b).RxBytes - before.RxBytes; got != 92 {
			t.Errorf("order %d: %d bytes were counted for one genuine response, want 92", order, got)
		}
		if a.index.Len() != 1 {
			t.Errorf("order %d: %d indices are taken, want 1", order, a.index.Len())
		}
	}
}

// A18, A12: a replayed initiation, later or at the same time, is refused, and
// changes neither the endpoint nor an index.
func TestReplayedInitiation(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	replay := a.sent[0].msg
	before, count := b.status(a), b.index.Len()
	w.run(time.Second)
	elsewhere := a.addr
	a.addr = w.host().addr // the source of the replay
	b.m.TakeRefused()
	w.deliver(a, b.addr, replay)
	w.run(time.Second)
	if after := b.status(a); after.RxBytes != before.RxBytes || after.Endpoint != elsewhere || b.index.Len() != count || len(b.sent) != 1 {
		t.Errorf("a replay had an effect: got %+v, want %+v; %d messages were sent", after, before, len(b.sent))
	}
	if n := b.m.TakeRefused(); n != 1 {
		t.Errorf("%d messages were refused, want 1", n)
	}

	// The same message twice before either job ends.
	w = newWorld(t, 2)
	a, b = w.pair()
	b.hold = true
	w.lost = func(_, to *host, msg []byte) bool {
		if to == b && msg[0] == byte(wire.TypeInitiation) {
			b.receive(a.addr, msg)
		}
		return false
	}
	a.send(b, "x")
	w.run(time.Second)
	for len(b.jobs) > 0 {
		jobs := b.jobs
		b.jobs = nil
		for _, j := range jobs {
			j.Run()
		}
		w.run(time.Second) // longer than the 20 ms of A19
		for _, j := range jobs {
			b.finish(j)
		}
	}
	if n := kinds(b.sent)[wire.TypeResponse]; n != 1 || b.index.Len() != 1 {
		t.Errorf("got %d responses to one initiation, and %d indices, want 1 each", n, b.index.Len())
	}
}

// A19: of two good initiations within 20 ms, the second is ignored.
func TestInitiationsWithin20ms(t *testing.T) {
	for _, c := range []struct {
		gap  time.Duration
		want int
	}{{0, 1}, {19 * time.Millisecond, 1}, {20 * time.Millisecond, 2}, {time.Second, 2}} {
		w := newWorld(t, 1)
		a, b := w.pair()
		b.hold, a.hold = true, true
		var messages [][]byte
		for range 2 {
			p := a.member(b)
			a.m.initiate(a.time(), p, NoSession)
			a.drain()
			a.jobs[0].Run()
			a.finish(a.jobs[0])
			messages = append(messages, a.sent[len(a.sent)-1].msg)
			a.jobs = nil
			w.run(time.Second)
		}
		b.jobs = nil
		b.hold = false
		for _, msg := range messages {
			b.receive(a.addr, msg)
			w.run(c.gap)
		}
		w.run(time.Second)
		if n := kinds(b.sent)[wire.TypeResponse]; n != c.want {
			t.Errorf("gap %v: got %d responses, want %d", c.gap, n, c.want)
		}
	}
}

// B8: a response is accepted at any time before the next initiation.
func TestSlowPaths(t *testing.T) {
	for _, rtt := range []time.Duration{0, 200 * time.Millisecond, 251 * time.Millisecond, time.Second, 4990 * time.Millisecond} {
		w := newWorld(t, 1)
		a, b := w.pair()
		w.delay = func() time.Duration { return rtt / 2 }
		a.send(b, "x")
		w.run(20 * time.Second)
		if !slices.Equal(b.got, []string{"x"}) || kinds(a.sent)[wire.TypeInitiation] != 1 {
			t.Errorf("round trip %v: b got %q, a sent %v", rtt, b.got, kinds(a.sent))
		}
	}
}

// A13: a response is refused if its initiation has been followed by another one.
func TestResponseToAnOldInitiation(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	w.delay = func() time.Duration { return 3 * time.Second } // the round trip is longer than the timeout
	a.send(b, "x")
	w.run(5900 * time.Millisecond)
	old := a.member(b).own.index
	w.run(600 * time.Millisecond)
	if a.peer(b).Sessions().Current != nil {
		t.Fatal("a response to an abandoned initiation was accepted")
	}
	if a.member(b).own.index == old && a.index.Lookup(old) == nil {
		t.Fatal("the live index was released")
	}
}

// B7: the thousandth handshake works like the first. B29, A14: no index leaks.
func TestThousandHandshakes(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	for i := range lessUnderRace(1000) {
		a.m.Want(a.time(), a.peer(b))
		a.member(b).suspected, a.member(b).wanted = w.now, true
		a.m.look(a.time(), a.member(b))
		a.drain()
		w.run(6 * time.Second)
		if n := kinds(b.sent)[wire.TypeResponse]; n != i+1 {
			t.Fatalf("handshake %d was not answered", i)
		}
		if a.index.Len() > 3 || b.index.Len() > 3 {
			t.Fatalf("after %d handshakes, %d and %d indices are taken, want at most 3", i+1, a.index.Len(), b.index.Len())
		}
	}
	if b.replies != 0 {
		t.Error("cookie replies were sent without load")
	}
}

// A31: a peer never has more than three sessions, and the index table has exactly
// those and the handshake in progress.
func TestAtMostThreeSessions(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.pair()
	w.delay = func() time.Duration { return time.Duration(w.dice.Int64N(int64(3 * time.Second))) }
	w.lost = func(_, _ *host, _ []byte) bool { return w.dice.IntN(4) == 0 }
	for range 2000 {
		switch w.dice.IntN(4) {
		case 0:
			a.send(b, "a")
		case 1:
			b.send(a, "b")
		case 2:
			a.member(b).suspected, a.member(b).wanted = w.now, true
		case 3:
			b.member(a).suspected, b.member(a).wanted = w.now, true
		}
		w.run(time.Duration(w.dice.Int64N(int64(3 * time.Second))))
		for _, h := range []*host{a, b} {
			checkIndices(t, h)
		}
	}
}

// checkIndices compares the index table of h with the sessions and handshakes of
// its members.
func checkIndices(t *testing.T, h *host) {
	t.Helper()
	want := 0
	for p := range h.m.list.all() {
		s := p.shared.Sessions()
		for _, k := range []*session.Keypair{s.Previous, s.Current, s.Next} {
			if k != nil {
				want++
				checkIndex(t, h, p, k.Local)
			}
		}
		if p.own != nil {
			want++
			checkIndex(t, h, p, p.own.index)
		}
	}
	if h.index.Len() != want {
		t.Fatalf("%v: %d indices are taken, want %d", h.w, h.index.Len(), want)
	}
}

func checkIndex(t *testing.T, h *host, p *member, i uint32) {
	t.Helper()
	if e := h.index.Lookup(i); e == nil || e.Peer != p.shared {
		t.Fatalf("%v: index %d does not refer to its peer", h.w, i)
	}
}

// B43: index 0 is an ordinary index.
func TestIndexZero(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.m.random = zeroIndices{a.m}
	b.m.random = zeroIndices{b.m}
	a.send(b, "x")
	w.run(time.Second)
	if !slices.Equal(b.got, []string{"x"}) || a.peer(b).Sessions().Current.Local != 0 || b.peer(a).Sessions().Current.Local != 0 {
		t.Fatalf("b got %q", b.got)
	}
	b.send(a, "y")
	w.run(time.Second)
	if !slices.Equal(a.got, []string{"y"}) {
		t.Fatalf("a got %q", a.got)
	}
}

// zeroIndices is a source of randomness from which index 0 is drawn if it is free.
type zeroIndices struct{ m *Machine }

func (z zeroIndices) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i * 7)
		if len(b) == 4 && z.m.index.Lookup(0) == nil {
			b[i] = 0
		}
	}
	return len(b), nil
}

// A11, A10: a peer with a key of low order may be configured. Nothing is sent to
// it, its staged packets are dropped, and other peers are not affected.
func TestPeerKeyOfLowOrder(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	for _, public := range []key.Public{{}, {0: 1}} {
		end := b.addr
		a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: public, Endpoint: &end}}})
		p := a.m.members[public]
		p.shared.Stage([]byte("x"), 1)
		a.m.Want(a.time(), p.shared)
		a.drain()
		w.run(time.Minute)
		a.m.Want(a.time(), p.shared)
		a.drain()
		w.run(time.Minute)
		if len(a.sent) != 0 || p.shared.HasStaged() || a.index.Len() != 0 {
			t.Fatalf("key %x: a sent %v, and %d indices are taken", public[:2], kinds(a.sent), a.index.Len())
		}
	}
	a.send(b, "x")
	w.run(time.Second)
	if !slices.Equal(b.got, []string{"x"}) {
		t.Fatalf("the other peer is affected: b got %q", b.got)
	}
}

// A11: whoever forges initiations of a peer with a key of low order causes no work
// after the identification, already with the first one.
func TestInitiationsOfALowOrderPeer(t *testing.T) {
	w := newWorld(t, 1)
	a, _ := w.pair()
	a.hold = true
	public := key.Public{0: 1}
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: public}}})
	a.events = nil
	for range 2 {
		forged := &identification{identity: a.m.identity.acquire(), public: public, state: &noise.InitiationState{}}
		a.m.Finish(a.time(), &Job{forged})
		a.drain()
	}
	if len(a.jobs) != 0 {
		t.Errorf("%d more jobs, want none", len(a.jobs))
	}
	const refused = "host 0: handshake initiation refused: the peer's public key is of low order"
	a.expectEvents("of low order", refused, refused)
}

// B11, A15: preshared keys must be equal. A change takes effect with the next
// handshake, and does not affect live sessions.
func TestPresharedKeys(t *testing.T) {
	var one, two [32]byte
	one[0], two[0] = 1, 2
	none, right, wrong := key.Preshared{}, key.NewPreshared(&one), key.NewPreshared(&two)
	for _, c := range []struct {
		a, b key.Preshared
		good bool
	}{{none, none, true}, {right, right, true}, {right, none, false}, {none, right, false}, {right, wrong, false}} {
		w := newWorld(t, 1)
		a, b := w.pair()
		a.send(b, "before")
		w.run(time.Second)
		a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PresharedKey: &c.a}}})
		b.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: a.public, PresharedKey: &c.b}}})
		a.send(b, "on the live session")
		w.run(time.Second)
		if !slices.Equal(b.got, []string{"before", "on the live session"}) {
			t.Fatalf("the live session is affected: b got %q", b.got)
		}
		w.run(200 * time.Second)
		a.send(b, "on a new session")
		w.run(time.Second)
		if good := len(b.got) == 3; good != c.good {
			t.Errorf("preshared keys %v, %v: packet arrived: %v, want %v", c.a.Hex()[:2], c.b.Hex()[:2], good, c.good)
		}
	}
}
