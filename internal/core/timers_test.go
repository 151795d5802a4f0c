package core

import (
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
)

// initiations are the times at which h sent some.
func (h *host) initiations() (at []time.Duration) {
	for _, s := range h.sent {
		if s.kind == wire.TypeInitiation {
			at = append(at, s.at)
		}
	}
	return at
}

// B30: a dead peer gets 18 to 20 initiations over 90 to 107 s, 5 to 5.333 s
// apart; then there is silence, nothing staged, and no index left. New traffic
// starts anew, at once.
func TestGivesUpAfterRekeyAttemptTime(t *testing.T) {
	for seed := range uint64(lessUnderRace(8)) {
		w := newWorld(t, seed)
		a, b := w.pair()
		w.lost = func(_, to *host, _ []byte) bool { return to == b }
		a.send(b, "x")
		var gaveUp time.Duration
		for gaveUp == 0 {
			w.run(100 * time.Millisecond)
			if !a.peer(b).HasStaged() {
				gaveUp = w.now.Sub(start)
			}
		}
		if gaveUp < 90*time.Second || gaveUp > 107*time.Second {
			t.Errorf("gave up after %v", gaveUp)
		}
		w.run(time.Hour)
		at := a.initiations()
		if len(at) < 18 || len(at) > 20 {
			t.Errorf("%d initiations", len(at))
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 5*time.Second || gap > 5333*time.Millisecond {
				t.Errorf("initiation %d comes %v after the one before", i, gap)
			}
		}
		if a.index.Len() != 0 || a.m.NextTimeout() < w.now {
			t.Errorf("%d indices are left, next timeout %d", a.index.Len(), a.m.NextTimeout())
		}
		w.lost = nil
		a.send(b, "y")
		w.run(time.Second)
		if !slices.Equal(b.got, []string{"y"}) {
			t.Errorf("new traffic after giving up: b got %q", b.got)
		}
	}
}

// B30: traffic on a session that is still young but answered by nobody ends in
// a new handshake, and after giving that up the next packet starts anew.
func TestGivesUpWithALiveSession(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(30 * time.Second)
	w.lost = func(_, _ *host, _ []byte) bool { return true }
	a.send(b, "into the void")
	w.run(125 * time.Second) // 15 s, and up to 107
	n := len(a.initiations())
	if n < 19 || n > 21 {
		t.Fatalf("%d initiations", n)
	}
	w.lost = nil
	a.send(b, "y") // the old session is not yet 180 s old
	w.run(time.Second)
	if len(a.initiations()) != n+1 || !slices.Equal(b.got, []string{"x", "y"}) {
		t.Errorf("%d initiations, was %d; b got %q", len(a.initiations()), n, b.got)
	}
}

// B31, B35: a peer that restarts, or vanishes and comes back, is reached again
// within bounded time, whichever side sends.
func TestPeerRestarts(t *testing.T) {
	for _, sender := range []int{0, 1} {
		w := newWorld(t, 1)
		a, b := w.pair()
		a.send(b, "x")
		w.run(20 * time.Second)
		b.restart(wire.TAI64N{}, nil)
		b.apply(conf.Change{Peers: []conf.PeerChange{b.about(a)}})
		b.up()
		from, to := a, b
		if sender == 1 {
			from, to = b, a
		}
		to.got = nil
		for range 40 {
			from.send(to, "y")
			w.run(500 * time.Millisecond)
		}
		if len(to.got) < 5 {
			t.Errorf("sender %d: only %d packets arrived within 20 s", sender, len(to.got))
		}
	}
}

// B31: data that is sent and not answered for 15 s starts a handshake, also
// when it was sent in the very instant in which the last packet came.
func TestNoReply(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	w.delay = func() time.Duration { return 0 } // flush and response in one instant
	w.lost = func(_, _ *host, msg []byte) bool { return msg[0] == byte(wire.TypeData) }
	a.send(b, "x")
	w.run(14900 * time.Millisecond)
	if n := len(a.initiations()); n != 1 {
		t.Fatalf("%d initiations before 15 s", n)
	}
	w.run(600 * time.Millisecond)
	at := a.initiations()
	if len(at) != 2 || at[1] < 15*time.Second || at[1] > 15333*time.Millisecond {
		t.Fatalf("initiations at %v", at)
	}
}

// B9: two peers that have nothing to say are silent; A40: a keepalive is not
// answered by a keepalive.
func TestIdleHour(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "ping")
	w.run(time.Second)
	b.send(a, "pong")
	w.run(time.Hour)
	if n := len(a.sent) + len(b.sent); n > 6 {
		t.Errorf("%d packets over an idle hour: %v and %v", n, kinds(a.sent), kinds(b.sent))
	}
}

// B10: a passive keepalive comes 10 s after data to which nothing was sent
// back, once; B31: and keeps the other side from a new handshake.
func TestPassiveKeepalive(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	for range 20 {
		a.send(b, "one way")
		w.run(3 * time.Second)
	}
	var keepalives []time.Duration
	for _, s := range b.sent {
		if s.kind == wire.TypeData {
			keepalives = append(keepalives, s.at)
		}
	}
	if len(keepalives) < 4 || len(keepalives) > 6 {
		t.Errorf("%d keepalives in a minute: %v", len(keepalives), keepalives)
	}
	for i := 1; i < len(keepalives); i++ {
		if gap := keepalives[i] - keepalives[i-1]; gap < 10*time.Second || gap > 13100*time.Millisecond {
			t.Errorf("keepalives %v apart", gap)
		}
	}
	if len(a.initiations()) != 1 || len(b.initiations()) != 0 {
		t.Errorf("handshakes on a live path: %d, %d", len(a.initiations()), len(b.initiations()))
	}
}

// B32: on one-way traffic it is the initiator who renews the session, when it
// sends on a key of 120 s; where it only receives, what it sends are keepalives.
func TestOneWayTraffic(t *testing.T) {
	for _, initiatorSends := range []bool{true, false} {
		w := newWorld(t, 1)
		a, b := w.pair()
		a.send(b, "first")
		w.run(time.Second)
		const packets = 600
		for range packets {
			if initiatorSends {
				a.send(b, "x")
			} else {
				b.send(a, "x")
			}
			w.run(time.Second)
		}
		at := a.initiations()
		if n := len(b.initiations()); n != 0 {
			t.Errorf("the responder sent %d initiations", n)
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 120*time.Second || gap > 132*time.Second {
				t.Errorf("initiator sends %v: renewed after %v", initiatorSends, gap)
			}
		}
		if len(at) != 5 {
			t.Errorf("initiator sends %v: %d initiations, want 5: %v", initiatorSends, len(at), at)
		}
		if got := len(a.got) + len(b.got); got != packets+1 {
			t.Errorf("initiator sends %v: %d of %d packets arrived", initiatorSends, got, packets+1)
		}
	}
}

// B32, B33: an initiator that receives only renews with a key of 165 s, in time
// before 180, and once for the session, however many packets come.
func TestRenewalOnReceipt(t *testing.T) {
	if d := timing(conf.DefaultTunables()).RekeyOnReceive; d != 165*time.Second {
		t.Errorf("RekeyOnReceive = %v", d)
	}
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "first")
	w.run(164 * time.Second)
	// No keepalive must be in the way: it would renew earlier.
	for range 100 {
		w.run(100 * time.Millisecond)
		b.send(a, "x")
	}
	w.run(time.Second)
	at := a.initiations()
	if len(at) != 2 || at[1] < 165*time.Second || at[1] > 165500*time.Millisecond {
		t.Errorf("initiations at %v", at)
	}
	if len(a.got) != 100 || len(b.initiations()) != 0 {
		t.Errorf("%d of 100 packets arrived, %d initiations of the responder", len(a.got), len(b.initiations()))
	}
}

// B62: with persistent keepalives only, there is a handshake no more often than
// every 120 s, and the peers stay in touch; B10: they come when due.
func TestPersistentKeepaliveOnly(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	seconds := uint16(25)
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PersistentKeepalive: &seconds}}})
	w.run(time.Hour)
	at := append(a.initiations(), b.initiations()...)
	slices.Sort(at)
	for i := 1; i < len(at); i++ {
		if gap := at[i] - at[i-1]; gap < 120*time.Second {
			t.Errorf("handshakes %v apart", gap)
		}
	}
	if len(at) < 15 || len(at) > 30 {
		t.Errorf("%d handshakes in an hour", len(at))
	}
	for i := 1; i < len(a.sent); i++ {
		if gap := a.sent[i].at - a.sent[i-1].at; gap > 25*time.Second+50*time.Millisecond {
			t.Errorf("%v without a message", gap)
		}
	}
}

// B10: traffic resets the persistent keepalive.
func TestPersistentKeepaliveDuringTraffic(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	seconds := uint16(25)
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PersistentKeepalive: &seconds}}})
	w.run(time.Second)
	before := len(a.sent)
	for range 100 {
		a.send(b, "ping")
		w.run(500 * time.Millisecond)
		b.send(a, "pong")
		w.run(500 * time.Millisecond)
	}
	if n := len(a.sent) - before; n != 100 {
		t.Errorf("%d messages for 100 packets", n)
	}
}

// A41: set from 0 while up, one keepalive is sent at once, here with the
// handshake it needs; set again, none. Set while down, it is owed with up.
func TestSettingPersistentKeepalive(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	set := func(seconds uint16) {
		a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PersistentKeepalive: &seconds}}})
		w.run(time.Second)
	}
	set(60)
	if k := kinds(a.sent); k[wire.TypeInitiation] != 1 || k[wire.TypeData] != 1 {
		t.Fatalf("without a session: %v", k)
	}
	set(50)
	set(0)
	if n := len(a.sent); n != 2 {
		t.Fatalf("%d messages", n)
	}
	set(60)
	if n := kinds(a.sent)[wire.TypeData]; n != 2 {
		t.Fatalf("on a session: %v", kinds(a.sent))
	}
	set(0)
	a.down()
	set(60)
	if n := len(a.sent); n != 3 {
		t.Fatalf("sent while down: %v", kinds(a.sent))
	}
	a.up()
	w.run(time.Second)
	if n := kinds(a.sent)[wire.TypeInitiation]; n != 2 {
		t.Fatalf("up sends no keepalive: %v", kinds(a.sent))
	}
}

// B46, A40: timers go on when the socket refuses every packet.
func TestSocketRefuses(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	seconds := uint16(20)
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PersistentKeepalive: &seconds}}})
	w.run(time.Second)
	a.deaf = true
	before := len(a.sent)
	w.run(100 * time.Second)
	if n := len(a.sent) - before; n != 5 {
		t.Errorf("%d keepalives were tried in 100 s, want 5", n)
	}
	a.deaf = false
	before = int(b.status(a).RxBytes)
	w.run(21 * time.Second)
	if int(b.status(a).RxBytes) == before {
		t.Error("no keepalive after the socket recovered")
	}
}

// B37, B17, A39: the first packet after a long idle, or after the machine slept,
// is not sent on an old key and arrives.
func TestFirstPacketAfterIdleTime(t *testing.T) {
	for _, idle := range []time.Duration{179 * time.Second, 180 * time.Second, 181 * time.Second, 10 * time.Minute, 100 * time.Hour} {
		w := newWorld(t, 1)
		a, b := w.pair()
		a.send(b, "x")
		w.run(time.Second)
		w.run(idle)
		b.send(a, "y")
		w.run(time.Second)
		if !slices.Equal(a.got, []string{"y"}) {
			t.Errorf("idle %v, responder sends: a got %q", idle, a.got)
		}
		w.run(idle)
		a.send(b, "z")
		w.run(time.Second)
		if !slices.Equal(b.got, []string{"x", "z"}) {
			t.Errorf("idle %v, initiator sends: b got %q", idle, b.got)
		}
	}
	// Asleep: the clock leaps, and no timer ran meanwhile.
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	w.now = w.now.Add(8 * time.Hour)
	a.send(b, "awake")
	w.run(time.Second)
	if !slices.Equal(b.got, []string{"x", "awake"}) {
		t.Errorf("after sleep: b got %q", b.got)
	}
}

// A35: keys are erased 540 s after the last session was made, not earlier, and
// not while sessions are renewed.
func TestErasure(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	for range 10 {
		a.send(b, "x")
		w.run(100 * time.Second)
	}
	last := a.initiations()
	age := w.now.Sub(start) - last[len(last)-1]
	sessions := *a.peer(b).Sessions()
	w.run(539*time.Second - age)
	if a.peer(b).Sessions().Current == nil {
		t.Fatal("erased early")
	}
	w.run(2 * time.Second)
	for _, h := range []*host{a, b} {
		if h.index.Len() != 0 {
			t.Errorf("%d indices after 540 s", h.index.Len())
		}
	}
	if s := a.peer(b).Sessions(); s.Current != nil || s.Previous != nil || s.Next != nil {
		t.Errorf("sessions after 540 s: %+v", s)
	}
	if sessions.Current.Usable(sessions.Current.Created) {
		t.Error("the keypair is dropped, but not erased")
	}
	if a.m.NextTimeout() < w.now.Add(24*time.Hour) {
		t.Error("an idle peer still has a timer")
	}
}

// A61: down erases keys and staged packets and stops timers; up starts again
// with what is owed.
func TestDownAndUp(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	a.m.Down(a.time())
	k := a.peer(b).Sessions().Current
	a.peer(b).Stage([]byte("late"), 1)
	a.down()
	a.up()
	a.down()
	if k != nil || a.index.Len() != 0 || a.peer(b).HasStaged() || a.m.NextTimeout() < w.now.Add(24*time.Hour) {
		t.Error("something is left after down")
	}
	n := len(a.sent)
	b.send(a, "y")
	a.m.Want(a.time(), a.peer(b))
	w.run(time.Minute)
	if len(a.sent) != n {
		t.Errorf("sent while down: %v", kinds(a.sent[n:]))
	}
	a.peer(b).Stage([]byte("waited"), 1)
	a.up()
	w.run(10 * time.Second)
	if !slices.Equal(b.got, []string{"x", "waited"}) {
		t.Errorf("b got %q", b.got)
	}
}

// The tunables apply at once, to live sessions and to handshakes under way.
func TestTunables(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	tune := func(h *host, c conf.TunablesChange) { h.apply(conf.Change{Tunables: c}) }
	second, ten := time.Second, 10*time.Second
	w.lost = func(_, _ *host, _ []byte) bool { return true }
	a.send(b, "x")
	w.run(2 * time.Second)
	tune(a, conf.TunablesChange{RekeyTimeout: &second, RekeyAttemptTime: &ten})
	w.run(20 * time.Second)
	if n := len(a.initiations()); n != 10 {
		t.Errorf("%d initiations, want 10", n)
	}
	w.lost = nil
	a.send(b, "y")
	w.run(11 * time.Second)
	n := len(a.initiations())
	tune(a, conf.TunablesChange{RekeyAfterTime: &ten})
	a.send(b, "z")
	w.run(time.Second)
	if len(a.initiations()) != n+1 {
		t.Error("RekeyAfterTime does not apply to the live session")
	}
	few := uint64(3)
	tune(b, conf.TunablesChange{RekeyAfterMessages: &few})
	w.run(5 * time.Second)
	for range 4 {
		b.send(a, "many")
	}
	w.run(time.Second)
	if len(b.initiations()) != 1 {
		t.Error("RekeyAfterMessages does not apply to either side")
	}
	tune(a, conf.TunablesChange{KeepaliveTimeout: &second})
	before := kinds(a.sent)[wire.TypeData]
	b.send(a, "unanswered")
	w.run(1500 * time.Millisecond)
	if kinds(a.sent)[wire.TypeData] != before+1 {
		t.Error("KeepaliveTimeout does not apply")
	}
}

// What the data plane notes with a reading of the clock from before a suspend
// (A39) is late, and no reason to spin.
func TestNoteFromThePast(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	old := w.now
	w.now = w.now.Add(time.Hour)
	a.m.Timeout(a.time())
	a.drain()
	p := a.peer(b)
	p.NoteSent(old, true)
	a.m.look(a.time(), a.member(b))
	p.NoteSent(old, true) // before the look has published NextLook, as it were
	if next := a.m.nextLook(a.time(), a.member(b)); next <= w.now {
		t.Errorf("next look at %d, now %d", next, w.now)
	}
	a.m.Wake(a.time(), p)
	w.run(time.Minute)
}
