package names_test

import (
	"net/netip"
	"testing"
	"time"

	"wgd/internal/clock"
)

// While the interface is down, a name is looked up once: neither its TTL nor a failure,
// silence or a change of the network leads to another lookup. Afterwards, what was due is
// done at once, and not before.
func TestPause(t *testing.T) {
	b := follow(t, 60, "192.0.2.1")
	b.Set(b.now, id(2), "fails.example", 7, netip.AddrPort{})
	b.Set(b.now, id(3), "long.example", 7, netip.AddrPort{})
	b.drain()
	b.Failed(b.now, "fails.example", 0, "no answer")
	b.answer("long.example", 7200, "192.0.2.3")
	b.asks, b.uses = nil, nil

	b.Pause()
	b.NetworkChanged(b.now)
	b.unanswered("while paused", 1, "")
	b.after(time.Hour)
	b.expectAsks("while paused")
	if at := b.NextTimeout(); at != clock.Never {
		t.Errorf("while paused, the next timeout is after %v", at.Sub(b.now))
	}
	b.Pause()
	b.Resume(b.now)
	b.expectAsks("at once", "a.example", "fails.example", "long.example") // the network has changed
	b.answer("a.example", 60, "192.0.2.1")
	b.answer("long.example", 7200, "192.0.2.3")
	for range 3 {
		b.Failed(b.now, "fails.example", 0, "no answer")
		b.after(8 * time.Second)
	}
	b.Failed(b.now, "fails.example", 0, "no answer") // and the pause is 8 s now
	b.asks = nil

	b.Pause()
	b.after(2 * time.Second)
	b.Resume(b.now)
	b.expectAsks("one has failed", "fails.example")
	b.Failed(b.now, "fails.example", 0, "no answer")
	b.after(2 * time.Second)
	b.expectAsks("its pauses are short again", "fails.example")
	b.Failed(b.now, "fails.example", 0, "no answer")
	b.Pause()
	b.after(time.Minute)
	b.expectAsks("paused, with no other cause to ask later")
	b.Resume(b.now)
	b.Resume(b.now)
	b.expectAsks("one was due, and one had failed", "fails.example", "a.example")
	b.after(time.Hour - time.Minute)
	b.expectAsks("the TTL of the other is not over")
}

// A name that is set while the interface is down is looked up until it is known: a lookup
// that ends because the network changes tells nothing.
func TestFirstLookupWhilePaused(t *testing.T) {
	b := newBench(t)
	b.Pause()
	b.Set(b.now, id(1), "a.example", 7, netip.AddrPort{})
	b.expectAsks("at once", "a.example")
	b.NetworkChanged(b.now)
	b.Failed(b.now, "a.example", 0, "ended")
	b.after(time.Second)
	b.expectAsks("on the other network", "a.example")
	b.answer("a.example", 60, "192.0.2.1")
	b.expectUses("with the answer", "1 192.0.2.1:7")
	b.Set(b.now, id(2), "a.example", 7, netip.AddrPort{})
	b.expectUses("another peer", "2 192.0.2.1:7")
	b.after(time.Hour)
	b.expectAsks("later")

	b.Set(b.now, id(3), "b.example", 7, netip.AddrPort{})
	b.drain()
	b.Resume(b.now) // while it is asked for
	b.expectAsks("each once", "b.example", "a.example")
	b.Failed(b.now, "b.example", 0, "no answer")
	b.after(2 * time.Second)
	b.expectAsks("after Resume", "b.example")
}
