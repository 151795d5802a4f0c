package driver

import (
	"testing"
	"time"

	"wgd/internal/cookie"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// flooded returns a Deferred that has no room for another message of class c.
func flooded(c class) *Deferred {
	q := &Deferred{}
	d := Decision{Action: Defer, class: c}
	for q.HasRoom(d) {
		q.Put(start.Mono, d, from(0), nil)
	}
	return q
}

// A44, B26, B27, B49: a flood of one class takes no room from another, and a message of
// another class waits for at most one message of each class.
func TestFloodHoldsUpNoOtherClass(t *testing.T) {
	for flood := range classes {
		for other := range classes {
			q, d := flooded(flood), Decision{Action: Defer, class: other}
			if flood == other {
				if q.HasRoom(d) || q.Waiting() != maxDeferred {
					t.Errorf("class %d: got room after %d messages, want none after %d", flood, q.Waiting(), maxDeferred)
				}
				continue
			}
			if !q.HasRoom(d) {
				t.Fatalf("a flood of class %d leaves no room for class %d", flood, other)
			}
			q.Put(start.Mono, d, from(7), []byte{1, 2, 3})
			for taken := 0; ; taken++ {
				m, _ := q.Take(start.Mono)
				if m.From() == from(7) && string(m.Bytes()) == "\x01\x02\x03" {
					break
				}
				if taken == int(classes) {
					t.Fatalf("class %d waits behind a flood of class %d", other, flood)
				}
			}
		}
	}
}

// Take returns the messages of one class in the order of Put, also while the queue grows
// and wraps around.
func TestDeferredKeepsOrder(t *testing.T) {
	var q Deferred
	d := Decision{Action: Defer, class: withoutMAC2}
	put, taken := 0, 0
	take := func(n int) {
		for range n {
			if m, expired := q.Take(start.Mono); m.From() != from(taken) || expired != 0 {
				t.Fatalf("got %v, want %v; %d expired", m.From(), from(taken), expired)
			}
			taken++
		}
	}
	for range 100 {
		for range 70 {
			q.Put(start.Mono, d, from(put), nil)
			put++
		}
		take(30)
	}
	take(put - taken)
	if m, _ := q.Take(start.Mono); m != nil || q.Waiting() != 0 {
		t.Errorf("got message %v, %d waiting; want an empty queue", m, q.Waiting())
	}
	if n := len(q.queues[withoutMAC2].list); n != 0 {
		t.Errorf("the empty queue keeps memory for %d messages, want 0", n)
	}
}

// Messages that have waited too long for a useful reply are dropped, and do not delay
// later ones.
func TestDeferredExpires(t *testing.T) {
	for wait, lost := range map[time.Duration]int{maxDeferral - 1: 0, maxDeferral: 100} {
		var q Deferred
		d := Decision{Action: Defer, class: withMAC2}
		for range 100 {
			q.Put(start.Mono, d, from(1), nil)
		}
		now := start.Mono.Add(wait)
		q.Put(now, d, from(2), nil)
		m, expired := q.Take(now)
		if m == nil || expired != lost || (m.From() == from(2)) != (lost > 0) {
			t.Errorf("after %v: got %v, %d expired, want %d", wait, m, expired, lost)
		}
	}
}

// A13, A22, A23: the type, index and mac2 of a message determine its class. A message
// with a wrong mac1 is dropped before it is queued.
func TestClassify(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.call(b.public, from(2).Remote)
	pending, _ := wire.DecodeInitiation(runAndSend(t, a))
	admission := Admission{Gate: cookie.NewGate(a.public, random(9)), Index: a.index, Capacity: Capacity}
	with := func(msg []byte, at int) []byte { msg[len(msg)-at] ^= 1; return msg }
	const mac1, mac2 = 2 * wire.MACSize, wire.MACSize
	for _, c := range []struct {
		name string
		msg  []byte
		want class
	}{
		{"an initiation", initiation(t, b.private, a.public), withoutMAC2},
		{"an initiation with a mac2", with(initiation(t, b.private, a.public), mac2), withMAC2},
		{"the response to our initiation", response(a.public, pending.Sender), answers},
		{"the response to our initiation, with a mac2", with(response(a.public, pending.Sender), mac2), answers},
		{"a response to an unknown index", response(a.public, 99), withoutMAC2},
		{"a response to an unknown index, with a mac2", with(response(a.public, 99), mac2), withMAC2},
	} {
		d := admission.Classify(c.msg)
		if d.Action != Defer || d.class != c.want {
			t.Errorf("%s: got %+v, want class %d", c.name, d, c.want)
		}
		if got := admission.CheckMAC1(d, c.msg); got.Action != Defer || got.class != c.want {
			t.Errorf("%s: good mac1: got %+v, want class %d", c.name, got, c.want)
		}
		if got := admission.CheckMAC1(d, with(c.msg, mac1)); got.Action != Drop || got.Reason != dataplane.DropMAC1 {
			t.Errorf("%s: wrong mac1: got %+v, want a drop for mac1", c.name, got)
		}
	}
}
