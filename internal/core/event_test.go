package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
	"wgd/key"
)

// logEvent records an output as a line of a log: the peer and the event.
func (h *host) logEvent(out *Output) {
	name := out.Name
	if name == "" && out.Peer != nil {
		name = fmt.Sprint("host ", slices.IndexFunc(h.w.hosts, func(other *host) bool { return other.public == out.PublicKey })+1)
	}
	line := name + ": "
	switch {
	case out.Kind == Send && out.Cause == NoCause:
		line += "response sent"
	case out.Kind == Send:
		line += fmt.Sprintf("initiation %d of %d sent: %v", out.Attempt, out.Attempts, out.Cause)
	case out.Event == SessionBegun && out.Initiator:
		line += fmt.Sprintf("%v, %v after our initiation", out.Event, out.After)
	case out.Event == SessionBegun:
		line += fmt.Sprintf("%v, %v after our response", out.Event, out.After)
	case out.Event == GivenUp:
		line += fmt.Sprintf("%v after %d in %v: %v", out.Event, out.Attempt, out.After.Round(time.Second), out.Cause)
	case out.Cause != NoCause:
		line += fmt.Sprintf("%v: %v", out.Event, out.Cause)
	default:
		line += out.Event.String()
	}
	if out.Renewed {
		line += ", renewed"
	}
	h.events = append(h.events, line)
}

// expectEvents compares the events since its last call.
func (h *host) expectEvents(what string, want ...string) {
	h.w.t.Helper()
	if !slices.Equal(h.events, want) {
		h.w.t.Errorf("%s: host %d: got events\n\t%s\nwant\n\t%s", what, h.n, strings.Join(h.events, "\n\t"), strings.Join(want, "\n\t"))
	}
	h.events = nil
}

// Both ends log a handshake, and the initiator logs its cause.
func TestEventsOfAHandshake(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	a.expectEvents("the first", "host 2: initiation 1 of 18 sent: there is no session", "host 2: a session begins, 20ms after our initiation")
	b.expectEvents("the first", "host 1: handshake initiation received", "host 1: response sent", "host 1: a session begins, 20ms after our response")

	// The session is renewed; b has a name now.
	name := "B"
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, Name: &name}}})
	w.run(2 * time.Minute)
	a.events, b.events = nil, nil
	a.send(b, "y")
	w.run(time.Second)
	a.expectEvents("the second", "B: initiation 1 of 18 sent: the session is old", "B: a session begins, 20ms after our initiation, renewed")
	b.expectEvents("the second", "host 1: handshake initiation received", "host 1: response sent", "host 1: a session begins, 20ms after our response, renewed")

	// Both sides are silent.
	w.run(540 * time.Second)
	a.expectEvents("long silence", "B: the session has ended: it is older than 180 seconds, and there was no new one", "B: keys erased: there was no new session for a long time")
}

// The log says why a session is renewed: it has sealed many messages, or nothing
// comes back on it (B31).
func TestCausesOfInitiations(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	few := uint64(3)
	a.apply(conf.Change{Tunables: conf.TunablesChange{RekeyAfterMessages: &few}})
	for range 4 {
		a.send(b, "x")
		w.run(6 * time.Second)
	}
	if want := "host 2: initiation 1 of 18 sent: the session has sealed many messages"; !slices.Contains(a.events, want) {
		t.Errorf("got events %q, want one %q", a.events, want)
	}

	w = newWorld(t, 1)
	a, b = w.pair()
	a.send(b, "x")
	w.run(time.Second)
	a.events = nil
	w.lost = func(from, _ *host, _ []byte) bool { return from == b }
	a.send(b, "y")
	w.run(20 * time.Second)
	a.expectEvents("nothing comes back", "host 2: nothing comes back from the peer",
		"host 2: initiation 1 of 18 sent: nothing came back on the session", "host 2: initiation 2 of 18 sent: no answer")
}

// The events number the initiations, with the maximum that follows from the
// tunables, and say why the handshake is given up (B30).
func TestEventsOfAttempts(t *testing.T) {
	for _, c := range []struct {
		timeout, total time.Duration
		attempts       int
	}{{0, 0, 18}, {3 * time.Second, 10 * time.Second, 4}, {10 * time.Second, 5 * time.Second, 1}} {
		w := newWorld(t, 1)
		a, b := w.pair()
		timeout := 5 * time.Second
		if c.timeout > 0 {
			timeout = c.timeout
			a.apply(conf.Change{Tunables: conf.TunablesChange{RekeyTimeout: &c.timeout, RekeyAttemptTime: &c.total}})
		}
		w.lost = func(*host, *host, []byte) bool { return true }
		a.send(b, "x")
		w.run(5 * time.Minute)
		last := a.events[len(a.events)-1]
		took := a.sent[len(a.sent)-1].at + timeout
		earliest := fmt.Sprintf("host 2: handshake given up after %d in %v: no answer", c.attempts, took.Round(time.Second))
		latest := fmt.Sprintf("host 2: handshake given up after %d in %v: no answer", c.attempts, (took + maxJitter).Round(time.Second))
		if last != earliest && last != latest {
			t.Errorf("%d attempts end with %q, want %q or %q", c.attempts, last, earliest, latest)
		}
		a.events = a.events[:len(a.events)-1]
		want := []string{fmt.Sprintf("host 2: initiation 1 of %d sent: there is no session", c.attempts)}
		for i := 2; i <= c.attempts; i++ {
			want = append(want, fmt.Sprintf("host 2: initiation %d of %d sent: no answer", i, c.attempts))
		}
		a.expectEvents(fmt.Sprintf("%d attempts", c.attempts), want...)
	}
}

// If a packet needs a session while an initiation is being made, the count of
// initiations begins again with the next one (§6.4).
func TestAttemptWhileAnInitiationIsMade(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	w.lost = func(*host, *host, []byte) bool { return true }
	w.jobDelay = func() time.Duration { return time.Millisecond }
	a.send(b, "x")
	a.send(b, "y")
	w.run(6 * time.Second)
	a.expectEvents("a packet while the initiation is made",
		"host 2: initiation 1 of 18 sent: there is no session", "host 2: initiation 1 of 18 sent: no answer")
}

// B30: a handshake is also given up if the interface has no private key any more.
func TestGivingUpWithoutAKey(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	b.down()
	a.send(b, "x")
	w.run(time.Second)
	a.events = nil
	a.m.identity, a.private = nil, key.Private{} // directly, because Apply would drop the handshake
	w.run(10 * time.Second)
	a.expectEvents("no key", "host 2: handshake given up after 1 in 5s: the peer has no endpoint, or the interface no private key")
}

// A11: with a peer whose key is of low order, there is no handshake, and this is
// logged once.
func TestEventOfALowOrderKey(t *testing.T) {
	w := newWorld(t, 1)
	a := w.host()
	end := a.addr
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: key.Public{1}, Endpoint: &end}}})
	a.up()
	a.m.Want(a.time(), a.m.members[key.Public{1}].shared)
	a.drain()
	w.run(time.Minute)
	a.expectEvents("low order", "host 0: handshake given up after 1 in 0s: the peer's public key is of low order")
}

// A7, A12, A13, A19: each refusal of a handshake message is logged with its cause
// and, if known, its peer, and is counted once.
func TestEventsOfRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *world, a, b *host)
		want string
	}{
		{"a stranger", func(w *world, a, b *host) {
			b.apply(conf.Change{ReplacePeers: true})
		}, ": handshake initiation refused: no peer has this public key"},
		{"forged", func(w *world, a, b *host) {
			a.sent[0].msg[50] ^= 1
		}, ": handshake initiation refused: it does not authenticate"},
		{"forged behind the static key", func(w *world, a, b *host) {
			a.sent[0].msg[90] ^= 1
		}, "host 1: handshake initiation refused: it does not authenticate"},
		{"repeated", func(w *world, a, b *host) {
			b.receive(a.addr, a.sent[0].msg)
			w.run(time.Second)
		}, "host 1: handshake initiation refused: its timestamp is not newer than the last"},
		{"too soon", func(w *world, a, b *host) {
			b.member(a).acceptedAt = w.now
		}, "host 1: handshake initiation refused: it came within 20 ms of the last"},
		{"of low order", func(w *world, a, b *host) {
			b.member(a).lowOrder = true
		}, "host 1: handshake initiation refused: the peer's public key is of low order"},
	} {
		w := newWorld(t, 1)
		a, b := w.pair()
		w.lost = func(*host, *host, []byte) bool { return true }
		a.send(b, "x")
		w.run(time.Millisecond)
		c.do(w, a, b)
		b.events = nil
		b.m.TakeRefused()
		b.m.Receive(b.time(), wire.NewEndpoint(a.addr, b.addr.Addr(), 0), a.sent[0].msg)
		b.drain()
		w.run(time.Millisecond)
		if len(b.events) != 1 || !strings.HasPrefix(b.events[0], c.want) || b.m.TakeRefused() != 1 {
			t.Errorf("%s: got events %q, want one %q", c.name, b.events, c.want)
		}
	}
}

// A message is also refused if the configuration changes while its job runs.
func TestRefusalAfterAChange(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	b.hold = true
	other := keyFor(77)
	a.send(b, "x")
	w.run(time.Second)
	b.apply(conf.Change{PrivateKey: &other})
	b.jobs[0].Run()
	b.finish(b.jobs[0])
	b.expectEvents("another private key", "host 1: handshake initiation refused: the configuration changed meanwhile")

	w = newWorld(t, 1)
	a, b = w.pair()
	secret := key.NewPreshared(&[32]byte{5})
	change := conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PresharedKey: &secret}}}
	a.hold = true
	a.send(b, "x")
	a.jobs[0].Run()
	a.finish(a.jobs[0])
	w.run(time.Second) // the response is a job
	a.events = nil
	a.apply(change)
	a.jobs[1].Run()
	a.finish(a.jobs[1])
	a.expectEvents("another preshared key meanwhile", "host 2: handshake response refused: the configuration changed meanwhile")
	a.hold = false
	w.run(6 * time.Second)
	a.expectEvents("another preshared key", "host 2: initiation 2 of 18 sent: no answer",
		"host 2: handshake response refused: "+NotAuthentic.String())
}

// A26: the receiver of a cookie logs it.
func TestEventOfACookie(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	b.gate.SetForce(true)
	a.send(b, "x")
	w.run(time.Second)
	a.expectEvents("a cookie", "host 2: initiation 1 of 18 sent: there is no session", "host 2: cookie received: the next handshake message carries it")
}

// Each event and each cause has a text of its own.
func TestEventTextsDiffer(t *testing.T) {
	seen := map[string]bool{"": true}
	for e := Event(1); e < events; e++ {
		if seen[e.String()] {
			t.Errorf("event %d has the text of another one, or none: %q", e, e)
		}
		seen[e.String()] = true
	}
	for c := NoCause; c < causes; c++ {
		if seen[c.String()] {
			t.Errorf("cause %d has the text of another one, or none: %q", c, c)
		}
		seen[c.String()] = true
	}
	if events.String() != "" || causes.String() != NoCause.String() {
		t.Errorf("unknown values: got %q and %q", events, causes)
	}
}
