package sim

import (
	"syscall"
	"testing"
	"time"

	"wgd/internal/wire"
)

// refuse makes the socket of h refuse every datagram, as without any route.
func (h *Host) refuse(on bool) {
	h.Refuse = nil
	if on {
		h.Refuse = func(*Datagram) error { return syscall.ENETUNREACH }
	}
}

// A51: an end that has moved and only receives sends a keepalive at once. The other end
// follows it, the session stays, and there is no handshake.
func TestSilentEndMoves(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(time.Second)
	for i, address := range []string{"203.0.113.1", "203.0.113.2"} {
		mover, other := n.Hosts[i%2], n.Hosts[1-i%2]
		mover.Move(address)
		mover.Got, mover.Sent = nil, nil
		other.Send(mover, "lost")
		n.Run(time.Second)
		mover.NoticeChange()
		n.Run(time.Second)
		if len(mover.Sent) != 1 || mover.Sent[0].Type() != wire.TypeData || len(mover.Sent[0].Data) != wire.MinDataSize {
			t.Fatalf("sent %v, want one keepalive", times(mover.Sent))
		}
		other.Send(mover, "found")
		n.Run(time.Minute)
		equal(t, "mover", mover.Payloads(), []string{"found"})
	}
	if got := a.Counts.Sent[wire.TypeInitiation] + b.Counts.Sent[wire.TypeInitiation]; got != 1 {
		t.Errorf("%d initiations, want only that of the session", got)
	}
}

// Nothing answers a keepalive. If the one that was sent after a change is lost, a
// handshake follows after 5 to 5.333 s, and again until the other end is found. // A51
func TestLostKeepaliveAfterMove(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(30 * time.Second)
	a.Forget()
	n.loseAll()
	a.Move("203.0.113.1")
	a.NoticeChange()
	moved := n.Now()
	n.Run(6 * time.Second)
	at := times(a.SentOf(wire.TypeInitiation))
	if len(at) != 1 || at[0]-moved < 5*time.Second || at[0]-moved > 5333*time.Millisecond {
		t.Fatalf("initiations at %v, want one 5 to 5.333 s after %v", at, moved)
	}
	n.Default.Loss = 0
	n.Run(6 * time.Second)
	if got := b.Status(a).Endpoint; got != a.Addr() {
		t.Errorf("b's endpoint is %v, want %v", got, a.Addr())
	}
	n.Run(time.Minute)
	if got := len(a.SentOf(wire.TypeInitiation)); got != 2 {
		t.Errorf("%d initiations, want 2", got)
	}
}

// An initiation that the socket refused, because there was no network, is followed by
// another one as soon as there is: it never left, so no gap need be kept.
func TestNetworkComes(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.refuse(true)
	a.Send(b, "x")
	n.Run(time.Second)
	for range 2 { // there is an address, but no route yet
		a.NoticeChange()
		n.Run(100 * time.Millisecond)
	}
	if got := len(a.SentOf(wire.TypeInitiation)); got != 3 {
		t.Fatalf("%d attempts, want 3", got)
	}
	a.refuse(false)
	a.NoticeChange()
	n.Run(500 * time.Millisecond)
	equal(t, "b", b.Payloads(), []string{"x"})
}

// An initiation that left before the network changed may have been lost with it. Another
// one follows at once; but however often the network changes, there are never more than
// two in the time of the gap. What was sent after the change is not repeated.
func TestHandshakeGoesOnAfterChange(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	n.loseAll()
	a.Send(b, "x")
	n.Run(time.Second)
	a.Move("203.0.113.1")
	n.Default.Loss = 0
	a.NoticeChange()
	n.Run(500 * time.Millisecond)
	equal(t, "b", b.Payloads(), []string{"x"})

	n = newChecked(t, 1)
	a, b = n.Pair()
	n.loseAll()
	changed := a.mono()
	n.Run(time.Millisecond)
	a.Send(b, "x")
	n.Run(time.Millisecond)
	a.Machine.NetworkChanged(a.Time(), a.Peer(b), changed, false)
	a.schedule()
	n.Run(4 * time.Second)
	if got := len(a.SentOf(wire.TypeInitiation)); got != 1 {
		t.Errorf("%d initiations after the change, want one", got)
	}

	n = newChecked(t, 1)
	a, b = n.Pair()
	n.loseAll()
	a.Send(b, "x")
	n.Every(50*time.Millisecond, func() bool { a.NoticeChange(); return n.Now() < 30*time.Second })
	n.Run(5 * time.Minute)
	at := times(a.SentOf(wire.TypeInitiation))
	for i := 2; i < len(at); i++ {
		if at[i]-at[i-2] < 5*time.Second {
			t.Errorf("initiations at %v, %v and %v", at[i-2], at[i-1], at[i])
		}
	}
	if len(at) > 20 || at[1]-at[0] > 100*time.Millisecond { // B30: a change does not begin the count again
		t.Errorf("%d initiations: %v", len(at), at)
	}
}

// Peers from which nobody expects anything are sent nothing when the network changes:
// those whose session is too old to be used, and those that never had one.
func TestChangeConcernsPeersInUse(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	idle := n.NewHost("198.51.100.9")
	Join(a, idle)
	idle.Up()
	a.Send(b, "x")
	n.Run(100 * time.Second)
	a.Forget()
	a.NoticeChange()
	n.Run(time.Second)
	if len(a.Sent) != 1 {
		t.Errorf("%d datagrams, want one keepalive to the peer with a session", len(a.Sent))
	}
	n.Run(10 * time.Minute)
	a.Forget()
	a.NoticeChange()
	n.Run(time.Minute)
	if len(a.Sent) != 0 {
		t.Errorf("%d datagrams to peers that are not in use", len(a.Sent))
	}
}

// After suspend there is a handshake at once if the session has become too old meanwhile,
// although nothing is to be sent; a younger session is kept, with a keepalive. A peer
// whose session was not used before is left alone. (A39, B17)
func TestResume(t *testing.T) {
	for _, c := range []struct {
		name                    string
		idle, slept             time.Duration
		initiations, keepalives int
	}{
		{"briefly", 20 * time.Second, time.Minute, 0, 1},
		{"for hours", 20 * time.Second, 9 * time.Hour, 1, 1}, // A34: that of the new session
		{"after the session", 4 * time.Minute, 9 * time.Hour, 0, 0},
	} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		a.Send(b, "x")
		n.Run(c.idle)
		a.Forget()
		a.Suspend(c.slept)
		n.Run(c.slept + time.Second)
		got := [2]int{len(a.SentOf(wire.TypeInitiation)), len(a.SentOf(wire.TypeData))}
		if got != [2]int{c.initiations, c.keepalives} {
			t.Errorf("%s: %d initiations and %d data messages in the first second, want %d and %d", c.name, got[0], got[1], c.initiations, c.keepalives)
		}
		b.Send(a, "back")
		n.Run(time.Second)
		if c.initiations+c.keepalives > 0 {
			equal(t, c.name, a.Payloads(), []string{"back"})
		}
	}
}
