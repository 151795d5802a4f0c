package core

import (
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// reported is what the events of a machine say about its peers: who has a session, and
// who is quiet.
type reported struct{ connected, quiet map[*peer.Peer]bool }

// check checks that a session ends once after it has begun, and that a peer is back once
// after it was quiet. All tests on hosts call it for all events.
func (r *reported) check(t testing.TB, out *Output) {
	t.Helper()
	if r.connected == nil {
		r.connected, r.quiet = map[*peer.Peer]bool{}, map[*peer.Peer]bool{}
	}
	p, ok := out.Peer, true
	switch out.Event {
	case SessionBegun:
		ok = r.connected[p] == out.Renewed
		r.connected[p] = true
	case SessionLost:
		ok = (p == nil) == (out.Cause == AllRemoved || out.Cause == KeyReplaced) && (p == nil || r.connected[p])
		delete(r.connected, p)
		if p == nil {
			clear(r.connected)
		}
	case PeerQuiet:
		ok = !r.quiet[p] && r.connected[p]
		r.quiet[p] = true
	case PeerBack:
		ok = r.quiet[p] && r.connected[p] && out.After > 0
		delete(r.quiet, p)
	}
	if !ok {
		t.Errorf("host %s: %v (renewed: %v, cause: %v) does not follow from the events before", out.Name, out.Event, out.Renewed, out.Cause)
	}
}

// Each way in which a session ends is reported once, with its cause.
func TestEventsOfLostSessions(t *testing.T) {
	other := keyFor(77)
	for _, c := range []struct {
		name string
		do   func(w *world, a, b *host)
		want string
	}{
		{"silence", func(w *world, a, b *host) { w.run(10 * time.Minute) },
			"host 2: the session has ended: it is older than 180 seconds, and there was no new one"},
		{"no answer", func(w *world, a, b *host) {
			w.lost = func(from, _ *host, _ []byte) bool { return from == b }
			a.send(b, "y")
			w.run(10 * time.Minute)
		}, "host 2: the session has ended: no answer"},
		{"the peer is removed", func(w *world, a, b *host) {
			a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, Remove: true}}})
		}, "host 2: the session has ended: the peer was removed"},
		{"all peers are removed", func(w *world, a, b *host) { a.apply(conf.Change{ReplacePeers: true}) },
			": the session has ended: all peers were removed"},
		{"another private key", func(w *world, a, b *host) { a.apply(conf.Change{PrivateKey: &other}) },
			": the session has ended: the private key was replaced"},
	} {
		w := newWorld(t, 1)
		a, b := w.pair()
		a.send(b, "x")
		w.run(time.Second)
		a.events = nil
		c.do(w, a, b)
		w.run(10 * time.Minute)
		var got []string
		for _, line := range a.events {
			if strings.Contains(line, SessionLost.String()) {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: got events %q, want %q", c.name, got, c.want)
		}
	}

	// Without a session, nothing ends.
	w := newWorld(t, 1)
	a, b := w.pair()
	w.lost = func(*host, *host, []byte) bool { return true }
	a.send(b, "x")
	w.run(10 * time.Minute)
	a.events = nil
	a.apply(conf.Change{PrivateKey: &other, ReplacePeers: true})
	a.expectEvents("peers without a session are removed")
}

// If the response arrives after the session has expired, but before the look at it, as
// after suspend, the end of the old session is reported before the new one.
func TestSessionLostBeforeTheLook(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(130 * time.Second)
	a.hold = true
	a.send(b, "y") // the session is old, so a handshake begins
	a.jobs[0].Run()
	a.finish(a.jobs[0])
	w.run(time.Second)
	a.events = nil
	w.now = w.now.Add(time.Minute)
	a.jobs[1].Run()
	a.finish(a.jobs[1])
	a.expectEvents("the response", "host 2: the session has ended: it is older than 180 seconds, and there was no new one",
		"host 2: a session begins, 1m1s after our initiation")
}

// A peer that was quiet is back when anything authentic arrives: data on the old session,
// or a handshake, even long after ours was given up.
func TestEventsOfAQuietPeer(t *testing.T) {
	const quiet, back = "host 2: nothing comes back from the peer", "host 2: the peer is heard again"
	for _, c := range []struct {
		name     string
		age      time.Duration // of the session
		silent   time.Duration
		answers  bool // whether handshake messages arrive afterwards, too
		withData bool // whether b sends data then
	}{
		{"a handshake", time.Second, 20 * time.Second, true, false},
		{"data", time.Second, 20 * time.Second, false, true},
		{"a handshake that had begun because the session is old", 130 * time.Second, 20 * time.Second, true, false},
		{"the peer's handshake, much later", time.Second, 10 * time.Minute, true, true},
	} {
		w := newWorld(t, 1)
		a, b := w.pair()
		a.send(b, "x")
		w.run(c.age)
		a.events = nil
		w.lost = func(from, _ *host, _ []byte) bool { return from == b }
		a.send(b, "y")
		w.run(c.silent)
		w.lost = func(from, _ *host, msg []byte) bool { return from == b && !c.answers && msg[0] != byte(wire.TypeData) }
		if c.withData {
			b.send(a, "z")
		}
		w.run(30 * time.Second)
		var got []string
		for _, line := range a.events {
			if line == quiet || line == back {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, []string{quiet, back}) {
			t.Errorf("%s: got events %q of %q", c.name, got, a.events)
		}
	}

	// It is back before the session is renewed.
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	w.lost = func(from, _ *host, _ []byte) bool { return from == b }
	a.send(b, "y")
	w.run(17 * time.Second)
	w.lost, a.events = nil, nil
	w.run(10 * time.Second)
	a.expectEvents("a renewal", "host 2: initiation 2 of 18 sent: no answer", back, "host 2: a session begins, 20ms after our initiation, renewed")

	// A peer that is never back is quiet once, however often data is sent to it.
	w = newWorld(t, 1)
	a, b = w.pair()
	a.send(b, "x")
	w.run(time.Second)
	a.events = nil
	w.lost = func(*host, *host, []byte) bool { return true }
	for range 10 {
		a.send(b, "y")
		w.run(time.Minute)
	}
	if n := len(slices.DeleteFunc(a.events, func(line string) bool { return line != quiet })); n != 1 {
		t.Errorf("the peer was quiet %d times, want once", n)
	}

	// Nor is it quiet again if another private key ends the handshake with it.
	w = newWorld(t, 1)
	a, b = w.pair()
	a.send(b, "x")
	w.run(time.Second)
	a.events = nil
	w.lost = func(*host, *host, []byte) bool { return true }
	a.send(b, "y")
	w.run(16 * time.Second)
	a.send(b, "z")
	w.run(2 * time.Second)
	other := keyFor(77)
	a.apply(conf.Change{PrivateKey: &other})
	w.run(time.Minute)
	if n := len(slices.DeleteFunc(a.events, func(line string) bool { return line != quiet })); n != 1 {
		t.Errorf("with another key, the peer was quiet %d times, want once", n)
	}
}
