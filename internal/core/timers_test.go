package core

import (
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
)

// initiations returns the times at which h sent initiations.
func (h *host) initiations() (at []time.Duration) {
	for _, s := range h.sent {
		if s.kind == wire.TypeInitiation {
			at = append(at, s.at)
		}
	}
	return at
}

// B30: a peer that does not answer gets 18 to 20 initiations within 90 to 107 s,
// 5 to 5.333 s apart. Then nothing is sent or staged, and no index is left. New
// traffic starts a handshake at once.
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
			t.Errorf("gave up after %v, want 90 to 107 s", gaveUp)
		}
		w.run(time.Hour)
		at := a.initiations()
		if len(at) < 18 || len(at) > 20 {
			t.Errorf("got %d initiations, want 18 to 20", len(at))
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 5*time.Second || gap > 5333*time.Millisecond {
				t.Errorf("initiation %d was sent %v after the one before, want 5 to 5.333 s", i, gap)
			}
		}
		if a.index.Len() != 0 || a.m.NextTimeout() < w.now {
			t.Errorf("%d indices are left, and the next timeout is %d", a.index.Len(), a.m.NextTimeout())
		}
		w.lost = nil
		a.send(b, "y")
		w.run(time.Second)
		if !slices.Equal(b.got, []string{"y"}) {
			t.Errorf("new traffic after giving up: b got %q", b.got)
		}
	}
}

// B30: unanswered traffic on a young session starts a new handshake; after that is
// given up, the next packet starts another one.
func TestGivesUpWithALiveSession(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(30 * time.Second)
	w.lost = func(_, _ *host, _ []byte) bool { return true }
	a.send(b, "lost")
	w.run(125 * time.Second) // 15 s, plus up to 107 s
	n := len(a.initiations())
	if n < 19 || n > 21 {
		t.Fatalf("got %d initiations, want 19 to 21", n)
	}
	w.lost = nil
	a.send(b, "y") // the old session is not yet 180 s old
	w.run(time.Second)
	if len(a.initiations()) != n+1 || !slices.Equal(b.got, []string{"x", "y"}) {
		t.Errorf("got %d initiations, want %d; b got %q", len(a.initiations()), n+1, b.got)
	}
}

// B31, B35: a peer that has restarted is reached again within bounded time,
// whichever side sends.
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
			t.Errorf("sender %d: %d packets arrived within 20 s, want at least 5", sender, len(to.got))
		}
	}
}

// B31: if data is not answered for 15 s, a handshake starts, even if the data was
// sent at the same instant at which the last packet arrived.
func TestNoReply(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	w.delay = func() time.Duration { return 0 } // flush and response at the same instant
	w.lost = func(_, _ *host, msg []byte) bool { return msg[0] == byte(wire.TypeData) }
	a.send(b, "x")
	w.run(14900 * time.Millisecond)
	if n := len(a.initiations()); n != 1 {
		t.Fatalf("got %d initiations before 15 s, want 1", n)
	}
	w.run(600 * time.Millisecond)
	at := a.initiations()
	if len(at) != 2 || at[1] < 15*time.Second || at[1] > 15333*time.Millisecond {
		t.Fatalf("got initiations at %v, want a second one at 15 to 15.333 s", at)
	}
}

// B9: two peers without traffic send nothing. A40: a keepalive is not answered
// with a keepalive.
func TestIdleHour(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "ping")
	w.run(time.Second)
	b.send(a, "pong")
	w.run(time.Hour)
	if n := len(a.sent) + len(b.sent); n > 6 {
		t.Errorf("got %d packets in an idle hour, want at most 6: %v and %v", n, kinds(a.sent), kinds(b.sent))
	}
}

// B10: one passive keepalive is sent 10 s after data to which nothing was sent
// back. B31: it keeps the other side from starting a new handshake.
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
		t.Errorf("got %d keepalives in a minute, want 4 to 6: %v", len(keepalives), keepalives)
	}
	for i := 1; i < len(keepalives); i++ {
		if gap := keepalives[i] - keepalives[i-1]; gap < 10*time.Second || gap > 13100*time.Millisecond {
			t.Errorf("got keepalives %v apart, want 10 to 13.1 s", gap)
		}
	}
	if len(a.initiations()) != 1 || len(b.initiations()) != 0 {
		t.Errorf("got %d and %d initiations on a working path, want 1 and 0", len(a.initiations()), len(b.initiations()))
	}
}

// B32: with one-way traffic, the initiator renews the session when it sends on a
// key that is 120 s old; if it only receives data, it sends keepalives.
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
			t.Errorf("the responder sent %d initiations, want 0", n)
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 120*time.Second || gap > 132*time.Second {
				t.Errorf("initiator sends %v: renewed after %v, want 120 to 132 s", initiatorSends, gap)
			}
		}
		if len(at) != 5 {
			t.Errorf("initiator sends %v: got %d initiations, want 5: %v", initiatorSends, len(at), at)
		}
		if got := len(a.got) + len(b.got); got != packets+1 {
			t.Errorf("initiator sends %v: %d of %d packets arrived", initiatorSends, got, packets+1)
		}
	}
}

// B32, B33: an initiator that only receives renews the session when the key is
// 165 s old, in time before 180 s, and only once, however many packets arrive.
func TestRenewalOnReceipt(t *testing.T) {
	if d := timing(conf.DefaultTunables()).RekeyOnReceive; d != 165*time.Second {
		t.Errorf("RekeyOnReceive = %v, want 165 s", d)
	}
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "first")
	w.run(164 * time.Second)
	// Too short for a passive keepalive of the initiator, which would renew earlier.
	for range 100 {
		w.run(100 * time.Millisecond)
		b.send(a, "x")
	}
	w.run(time.Second)
	at := a.initiations()
	if len(at) != 2 || at[1] < 165*time.Second || at[1] > 165500*time.Millisecond {
		t.Errorf("got initiations at %v, want a second one at 165 to 165.5 s", at)
	}
	if len(a.got) != 100 || len(b.initiations()) != 0 {
		t.Errorf("%d of 100 packets arrived, %d initiations of the responder", len(a.got), len(b.initiations()))
	}
}

// B62: with persistent keepalives only, handshakes are at least 120 s apart, and
// sessions are renewed. B10: keepalives are sent when due.
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
			t.Errorf("got handshakes %v apart, want at least 120 s", gap)
		}
	}
	if len(at) < 15 || len(at) > 30 {
		t.Errorf("got %d handshakes in an hour, want 15 to 30", len(at))
	}
	for i := 1; i < len(a.sent); i++ {
		if gap := a.sent[i].at - a.sent[i-1].at; gap > 25*time.Second+50*time.Millisecond {
			t.Errorf("no message was sent for %v, want at most 25 s", gap)
		}
	}
}

// B10: traffic postpones the persistent keepalive.
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
		t.Errorf("got %d messages for 100 packets, want 100", n)
	}
}

// A41: when the interval is set from 0 while the interface is up, a keepalive is
// sent at once, after a handshake if necessary; when it is changed, none is. If it
// is set while the interface is down, Up sends a keepalive.
func TestSettingPersistentKeepalive(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	set := func(seconds uint16) {
		a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PersistentKeepalive: &seconds}}})
		w.run(time.Second)
	}
	set(60)
	if k := kinds(a.sent); k[wire.TypeInitiation] != 1 || k[wire.TypeData] != 1 {
		t.Fatalf("without a session: got %v, want an initiation and a keepalive", k)
	}
	set(50)
	set(0)
	if n := len(a.sent); n != 2 {
		t.Fatalf("after a change of the interval: got %d messages, want 2", n)
	}
	set(60)
	if n := kinds(a.sent)[wire.TypeData]; n != 2 {
		t.Fatalf("with a session: got %v, want 2 keepalives", kinds(a.sent))
	}
	set(0)
	a.down()
	set(60)
	if n := len(a.sent); n != 3 {
		t.Fatalf("a message was sent while down: %v", kinds(a.sent))
	}
	a.up()
	w.run(time.Second)
	if n := kinds(a.sent)[wire.TypeInitiation]; n != 2 {
		t.Fatalf("Up started no handshake for a keepalive: %v", kinds(a.sent))
	}
}

// B46, A40: timers keep working while the socket refuses every packet.
func TestSocketRefuses(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	seconds := uint16(20)
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PersistentKeepalive: &seconds}}})
	w.run(time.Second)
	a.refusing = true
	before := len(a.sent)
	w.run(100 * time.Second)
	if n := len(a.sent) - before; n != 5 {
		t.Errorf("got %d attempts to send a keepalive in 100 s, want 5", n)
	}
	a.refusing = false
	before = int(b.status(a).RxBytes)
	w.run(21 * time.Second)
	if int(b.status(a).RxBytes) == before {
		t.Error("no keepalive after the socket recovered")
	}
}

// B37, B17, A39: the first packet after a long idle time, or after a suspend,
// is not sent on an old key, and arrives.
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
	// Suspend: the clock jumps, and no timer runs meanwhile.
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	w.now = w.now.Add(8 * time.Hour)
	a.send(b, "awake")
	w.run(time.Second)
	if !slices.Equal(b.got, []string{"x", "awake"}) {
		t.Errorf("after a suspend: b got %q", b.got)
	}
}

// A35: keys are erased 540 s after the last session was made, not earlier.
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
		t.Fatal("the keys were erased too early")
	}
	w.run(2 * time.Second)
	for _, h := range []*host{a, b} {
		if h.index.Len() != 0 {
			t.Errorf("%d indices are left after 540 s", h.index.Len())
		}
	}
	if s := a.peer(b).Sessions(); s.Current != nil || s.Previous != nil || s.Next != nil {
		t.Errorf("sessions are left after 540 s: %+v", s)
	}
	if sessions.Current.Usable(sessions.Current.Created) {
		t.Error("the keypair was dropped, but not erased")
	}
	if a.m.NextTimeout() < w.now.Add(24*time.Hour) {
		t.Error("an idle peer still has a timer")
	}
}

// A61: Down erases keys and staged packets, and stops timers; Up sends what is
// due.
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
		t.Error("a key, index, packet or timer is left after Down")
	}
	n := len(a.sent)
	b.send(a, "y")
	a.m.Want(a.time(), a.peer(b))
	w.run(time.Minute)
	if len(a.sent) != n {
		t.Errorf("messages were sent while down: %v", kinds(a.sent[n:]))
	}
	a.peer(b).Stage([]byte("waited"), 1)
	a.up()
	w.run(10 * time.Second)
	if !slices.Equal(b.got, []string{"x", "waited"}) {
		t.Errorf("b got %q", b.got)
	}
}

// Tunables apply at once, to live sessions and to handshakes in progress.
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
		t.Errorf("got %d initiations, want 10", n)
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
		t.Error("RekeyAfterMessages does not apply to the responder")
	}
	tune(a, conf.TunablesChange{KeepaliveTimeout: &second})
	before := kinds(a.sent)[wire.TypeData]
	b.send(a, "unanswered")
	w.run(1500 * time.Millisecond)
	if kinds(a.sent)[wire.TypeData] != before+1 {
		t.Error("KeepaliveTimeout does not apply")
	}
}

// If the data plane records a time from before a suspend (A39), the deadline is
// past, but the machine does not spin.
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
	p.NoteSent(old, true) // as if before the look had published NextLook
	if next := a.m.nextLook(a.time(), a.member(b)); next <= w.now {
		t.Errorf("got next look at %d, want it after now, %d", next, w.now)
	}
	a.m.Wake(a.time(), p)
	w.run(time.Minute)
}
