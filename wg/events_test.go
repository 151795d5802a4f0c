package wg

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/asynctest"
	"wgd/key"
)

// numbers returns the events' numbers, and of EventsMissed how many.
func numbers(list []Event) (text []string) {
	for _, e := range list {
		if e.Kind == EventsMissed {
			text = append(text, fmt.Sprintf("missed %d up to %d", e.Missed, e.Seq))
		} else {
			text = append(text, fmt.Sprint(e.Seq))
		}
	}
	return text
}

// A slow reader is told how many events it missed, and holds nobody up: emit
// returns although nobody reads.
func TestEventsKeepTheNewest(t *testing.T) {
	w := &Interface{}
	from := w.Events(t.Context()) // before the first
	for range 3 * keptEvents {
		w.events.emit(Event{Kind: WentUp})
	}
	w.events.end()
	for _, c := range []struct {
		list  []Event
		first string
		count int
	}{
		{slices.Collect(from), "missed 2048 up to 2048", keptEvents + 1},
		{slices.Collect(from), "missed 2048 up to 2048", keptEvents + 1},
		{slices.Collect(w.EventsAfter(t.Context(), 100)), "missed 1948 up to 2048", keptEvents + 1},
		{slices.Collect(w.EventsAfter(t.Context(), 2048)), "2049", keptEvents},
		{slices.Collect(w.EventsAfter(t.Context(), 3000)), "3001", 72},
		{slices.Collect(w.Events(t.Context())), "", 0},
	} {
		got := numbers(c.list)
		if len(got) != c.count || c.count > 0 && (got[0] != c.first || got[len(got)-1] != "3072") {
			t.Errorf("got %d events %.200q, want %d from %q", len(got), got, c.count, c.first)
		}
	}
	for e := range from { // a reader that stops
		if e.Missed != 2048 || e.Time.IsZero() {
			t.Errorf("got %+v", e)
		}
		break
	}
}

// Any number of readers get all events in their order, with numbers that have no
// gap, and end with their context or the interface.
func TestEventsHaveManyReaders(t *testing.T) {
	check := asynctest.CheckLeaks(t)
	w := &Interface{}
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 20 {
		events := w.EventsAfter(ctx, 0)
		readers.Go(func() {
			n := uint64(0)
			for e := range events {
				if n++; e.Seq != n {
					t.Errorf("event %d has the number %d", n, e.Seq)
				}
			}
			if n != 500 {
				t.Errorf("a reader got %d events, want 500", n)
			}
		})
	}
	asynctest.Within(t, asynctest.Timeout, "emitting", func() {
		for range 500 {
			w.events.emit(Event{Kind: WentDown})
		}
	})
	w.events.end()
	readers.Wait()

	w = &Interface{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range w.Events(ctx) {
			t.Error("there is an event")
		}
	}()
	cancel()
	asynctest.Within(t, asynctest.Timeout, "the end of an iteration with its context", func() { <-done })
	check()
}

// A handshake, and a peer that moves to another port, are events; what Apply sets
// is none. The other side learns an endpoint that it did not know (A51).
func TestEventsOfPeers(t *testing.T) {
	a, b := open(t, "10.2.0.1/32"), open(t, "10.2.0.42/32")
	name := "client"
	if err := a.Apply(conf.Change{Peers: []conf.PeerChange{
		{PublicKey: b.private.Public(), Name: &name, AllowedIPs: []conf.AllowedIPChange{{Prefix: b.inner}}},
	}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Apply(conf.Change{Peers: []conf.PeerChange{a.asPeer()}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	ping := func() {
		t.Helper()
		if _, err := b.stack.Ping(ctx, netip.MustParseAddr("10.2.0.1")); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(w *end, after uint64, want Event) (seq uint64) {
		t.Helper()
		for e := range w.EventsAfter(ctx, after) {
			if e.Kind == want.Kind {
				got := e
				if got.SinceBoot <= 0 {
					t.Errorf("%+v has no time since the start", got)
				}
				if sent := got.Kind == HandshakeDone && !got.Initiator; got.Stamp.IsZero() == sent {
					t.Errorf("initiator: %v, stamp: %v", got.Initiator, got.Stamp)
				}
				got.Seq, got.Time, got.SinceBoot, got.After, got.Stamp = 0, time.Time{}, 0, 0, conf.Stamp{}
				if got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
				return e.Seq
			}
		}
		t.Fatalf("no event %v", want.Kind)
		return 0
	}
	at := func(w *end) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), w.Status().ListenPort)
	}
	ping()
	ofA := Event{Peer: b.private.Public(), Name: name, Endpoint: at(b)}
	seq := expect(a, 0, with(ofA, EndpointMoved))
	expect(a, 0, with(ofA, HandshakeDone))
	begun := with(Event{Peer: a.private.Public(), Endpoint: at(a), Initiator: true}, HandshakeDone)
	expect(b, 0, begun)

	port := uint16(0) // another one
	if err := b.Apply(conf.Change{ListenPort: &port}); err != nil {
		t.Fatal(err)
	}
	ping()
	ofA.Endpoint = at(b)
	expect(a, seq, with(ofA, EndpointMoved))
	b.Close()
	for e := range b.EventsAfter(ctx, 0) {
		if e.Kind == EndpointMoved {
			t.Errorf("an endpoint that Apply has set: %+v", e)
		}
	}
}

func with(e Event, kind EventKind) Event {
	e.Kind = kind
	return e
}

// Each kind of event has a word of its own.
func TestEventKinds(t *testing.T) {
	seen := map[string]bool{EventKind(0).String(): true}
	for k := WentUp; k <= PeerReturned; k++ {
		if seen[k.String()] || k.String() == "" {
			t.Errorf("kind %d is called %q", k, k)
		}
		seen[k.String()] = true
	}
	if got := (PeerReturned + 1).String(); got != "unknown" {
		t.Errorf("got %q, want unknown", got)
	}

	// The engine names those of peers by the words of the control socket.
	var s events
	for _, word := range []conf.EventKind{
		conf.HandshakeDone, conf.HandshakeFailed, conf.EndpointMoved, conf.PeerQuiet, conf.PeerBack, conf.SessionEnded, conf.NameFailed, conf.NameFound, conf.PacketsDropped, conf.PeerReturned,
	} {
		s.peerEvent(conf.Event{Kind: word})
		if got := s.kept[s.last-1].Kind.String(); got != string(word) {
			t.Errorf("%s became %s", word, got)
		}
	}
}

// A change by another process is reported, with names and without keys; one that
// fails, or has nothing in it, is not.
func TestConfigurationChanged(t *testing.T) {
	a := open(t, "10.2.0.1/32")
	seq := a.LastEvent()
	private, by := key.NewPrivate(&[32]byte{9}), conf.Caller{PID: 7, UID: 8, Command: "wgconfig"}
	var peers []conf.PeerChange
	for i := range 6 {
		peers = append(peers, conf.PeerChange{PublicKey: key.Public{200, byte(i)}, Remove: i == 1})
	}
	peers[0].Name = &[]string{"C"}[0]
	bad := []conf.PeerChange{{PublicKey: key.Public{201}, Name: &[]string{"not a name"}[0]}}
	for _, c := range []conf.Change{{}, {Peers: bad}, {PrivateKey: &private, ListenPort: new(uint16), Peers: peers}} {
		if err := a.ApplyBy(by, c); (err != nil) != (len(c.Peers) == 1) {
			t.Fatal(err)
		}
	}
	for e := range a.EventsAfter(t.Context(), seq) {
		if e.Kind != ConfigurationChanged {
			continue
		}
		if want := "private key, listen port, peer C, peer c8010000 removed, peer c8020000, peer c8030000, 2 more peers"; e.Reason != want || e.By != by {
			t.Errorf("got %q by %+v, want %q", e.Reason, e.By, want)
		}
		break
	}
}

// A lent peer that nothing is received from leaves, with an event that says how it was used.
func TestEventOfLentPeer(t *testing.T) {
	w := open(t, "10.2.0.1/32")
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	public, stamp, second := key.Public{1}, conf.Stamp{1, 2}, uint32(1)
	events := w.Events(ctx)
	if err := w.Apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: public, Stamp: &stamp, Lent: &second}}}); err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.Kind == PeerReturned {
			if e.Peer != public || e.Stamp != stamp || e.Cause != "idle" || e.Reason == "" || len(w.Status().Peers) != 0 {
				t.Errorf("%+v, with %d peers", e, len(w.Status().Peers))
			}
			return
		}
	}
	t.Error("the peer does not leave")
}
