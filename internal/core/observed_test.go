package core

import (
	"fmt"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
	"wgd/key"
)

// observed lists the observations as KIND COUNT.
func observed(list []conf.Observation) (text string) {
	for _, o := range list {
		text += fmt.Sprintf("%s %d;", o.Kind, o.Count)
	}
	return text
}

func wantObserved(t *testing.T, what string, list []conf.Observation, want string) {
	t.Helper()
	if got := observed(list); got != want {
		t.Errorf("%s: observed %q, want %q", what, got, want)
	}
}

// Initiations without an answer are counted from the first one on, also when the
// handshake has been given up, until one completes.
func TestObservesNoAnswer(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	w.lost = func(*host, *host, []byte) bool { return true }
	start := a.time().Wall
	a.send(b, "x")
	w.run(12 * time.Second)
	list := a.status(b).Observations
	wantObserved(t, "after 12 s", list, "no-answer 3;")
	o := list[0]
	if o.Address != b.addr || o.First.Sub(start) > time.Second || o.Last.Sub(o.First) < 10*time.Second || o.Last.After(a.time().Wall) {
		t.Errorf("observed %+v at %v", o, a.time().Wall)
	}
	w.run(5 * time.Minute)
	wantObserved(t, "given up", a.status(b).Observations, "no-answer 18;")
	w.lost = nil
	a.send(b, "y")
	w.run(time.Second)
	wantObserved(t, "completed", a.status(b).Observations, "")
	wantObserved(t, "completed, responder", b.status(a).Observations, "")
}

// With different preshared keys, the initiator refuses responses, and the responder
// sees that none of its sessions is used.
func TestObservesPresharedKeys(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	psk := key.Preshared{}
	psk, _ = key.ParsePresharedHex(fmt.Sprintf("%064x", 7))
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, PresharedKey: &psk}}})
	a.send(b, "x")
	w.run(7 * time.Second)
	wantObserved(t, "initiator", a.status(b).Observations, "no-answer 2;response-refused 2;")
	wantObserved(t, "responder", b.status(a).Observations, "not-confirmed 2;")
	a.down()
	wantObserved(t, "down", a.status(b).Observations, "")
}

// Initiations from keys that are not a peer's are listed by key, the latest few.
func TestObservesUnknownKeys(t *testing.T) {
	w := newWorld(t, 1)
	b := w.host()
	b.up()
	var last key.Public
	for range 20 {
		s := w.host()
		w.join(s, b)
		b.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: s.public, Remove: true}}})
		s.send(b, "x")
		w.run(time.Second)
		last = s.public
	}
	list := b.m.Status(b.time()).Observations
	if len(list) != 8 {
		t.Fatalf("%d unknown keys are listed, want 8: %v", len(list), list)
	}
	found := false
	for _, o := range list {
		found = found || o.Kind == conf.UnknownKey && o.Key == last && o.Count == 1
	}
	if !found {
		t.Errorf("the last unknown key is not among %v", list)
	}
}

// A peer whose clock went back is seen by its timestamps.
func TestObservesReplayedTimestamps(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	a.wall -= 24 * time.Hour
	a.restart(wire.TAI64N{}, nil)
	w.join(a, b)
	a.up()
	a.send(b, "y")
	w.run(7 * time.Second)
	wantObserved(t, "responder", b.status(a).Observations, "timestamp-replayed 2;")
	wantObserved(t, "initiator", a.status(b).Observations, "no-answer 2;")
}

// A prefix that another peer took is remembered, also when handshakes complete.
func TestObservesTakenAllowedIPs(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	other := w.host()
	prefix := a.status(b).AllowedIPs[0]
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: other.public, AllowedIPs: []conf.AllowedIPChange{{Prefix: prefix}}}}})
	b.send(a, "x")
	w.run(time.Second)
	list := a.status(b).Observations
	wantObserved(t, "taken", list, "allowed-ip-taken 1;")
	if list[0].Key != other.public || list[0].Detail != prefix.String() {
		t.Errorf("observed %+v", list[0])
	}
}

// NoteSendFailed records the name of the error, and ignores removed peers.
func TestObservesSendFailures(t *testing.T) {
	w := newWorld(t, 1)
	a, b := w.pair()
	a.m.NoteSendFailed(a.time(), a.peer(b), a.peer(b).Endpoint(), "EPERM")
	a.m.NoteSendFailed(a.time(), a.peer(b), a.peer(b).Endpoint(), "ENETUNREACH")
	list := a.status(b).Observations
	wantObserved(t, "failed", list, "send-failed 2;")
	if list[0].Detail != "ENETUNREACH" {
		t.Errorf("observed %+v", list[0])
	}
	shared := a.peer(b)
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, Remove: true}}})
	a.m.NoteSendFailed(a.time(), shared, shared.Endpoint(), "EPERM")
}
