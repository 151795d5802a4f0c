package sim

import (
	"fmt"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// persist sets the persistent keepalive of h for other.
func persist(h, other *Host, seconds uint16) {
	h.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: other.Public(), PersistentKeepalive: &seconds}}})
}

// loseAll makes the network lose every datagram.
func (n *Internet) loseAll() { n.Default.Loss = 1 }

// B30: a dead peer is sent 18 to 20 initiations, 5 to 5.333 s apart; then the
// staged packets are dropped and counted (A42), and nothing more is sent. A
// later packet starts again.
func TestGivesUp(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	n.loseAll()
	for range 10 {
		a.Send(b, "x")
	}
	n.Run(time.Hour)
	at := times(a.Sent)
	if len(at) < 18 || len(at) > 20 || len(a.SentOf(wire.TypeInitiation)) != len(at) {
		t.Fatalf("%d datagrams at %v, want 18 to 20 initiations", len(at), at)
	}
	for i := 1; i < len(at); i++ {
		if gap := at[i] - at[i-1]; gap < 5*time.Second || gap > 5333*time.Millisecond {
			t.Errorf("initiation %d was sent %v after the one before, want 5 to 5.333 s", i, gap)
		}
	}
	if got := a.Drops.Count(dataplane.DropStaged); got != 10 || a.Index.Len() != 0 {
		t.Errorf("%d staged packets dropped, %d indices left; want 10, 0", got, a.Index.Len())
	}
	n.Default.Loss = 0
	a.Send(b, "y")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"y"})
}

// A35, B30: with continuous traffic to a dead peer, initiations continue, at
// least 5 s apart, and keys are erased 540 s after the last session was
// created.
func TestDeadPeerUnderTraffic(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(time.Second)
	n.loseAll()
	a.Forget()
	n.Every(100*time.Millisecond, func() bool { a.Send(b, "x"); return n.Now() < time.Hour })
	n.Run(8 * time.Minute)
	if a.Peer(b).Sessions().Current == nil && a.Peer(b).Sessions().Previous == nil {
		t.Error("the keys were erased too early")
	}
	n.Run(time.Hour)
	at := times(a.SentOf(wire.TypeInitiation))
	if len(at) < 3600/6 || len(at) > 3600/5+20 {
		t.Errorf("%d initiations in an hour, want %d to %d", len(at), 3600/6, 3600/5+20)
	}
	for i := 1; i < len(at); i++ {
		if gap := at[i] - at[i-1]; gap < 5*time.Second {
			t.Fatalf("initiation %d was sent %v after the one before, want at least 5 s", i, gap)
		}
	}
	if s := a.Peer(b).Sessions(); s.Current != nil || s.Previous != nil || s.Next != nil {
		t.Errorf("the keys were not erased: %+v", s)
	}
}

// B31: if the peer is gone, an initiation is sent 15 to 15.333 s after the
// first packet that is not answered.
func TestNoReply(t *testing.T) {
	for seed := range uint64(20) {
		n := newChecked(t, seed)
		a, b := n.Pair()
		a.Send(b, "x")
		n.Run(30 * time.Second)
		n.loseAll()
		a.Forget()
		began := n.Now()
		for range 20 {
			a.Send(b, "x")
			n.Run(time.Second)
		}
		at := times(a.SentOf(wire.TypeInitiation))
		if len(at) != 1 || at[0]-began < 15*time.Second || at[0]-began > 15333*time.Millisecond {
			t.Errorf("initiations at %v, want one 15 to 15.333 s after the first packet at %v", at, began)
		}
	}
}

// B9, A40: idle peers are silent: after a packet in each direction, there is
// one keepalive and nothing more.
func TestIdleHour(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "ping")
	n.Run(time.Second)
	b.Send(a, "pong")
	n.Run(time.Hour)
	if got := len(a.Sent) + len(b.Sent); got != 5 {
		t.Errorf("%d datagrams, want 5: a sent %v, b sent %v", got, types(a.Sent), types(b.Sent))
	}
}

// B10: neither passive nor persistent keepalives are sent during traffic in
// both directions.
func TestKeepalivesOnlyWhenSilent(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	persist(a, b, 25)
	n.Run(time.Second)
	a.Forget()
	b.Forget()
	n.Every(9*time.Second, func() bool { a.Send(b, "x"); b.Send(a, "y"); return n.Now() < 110*time.Second })
	n.Run(100 * time.Second)
	for _, h := range n.Hosts {
		for _, d := range h.SentOf(wire.TypeData) {
			if len(d.Data) == wire.MinDataSize {
				t.Errorf("host %d sent a keepalive at %v, during traffic", h.Name, d.At)
			}
		}
	}
}

// B62, B9: with persistent keepalives only, there is at most one handshake
// every 120 s, and a packet about every 25 s.
func TestPersistentKeepaliveHour(t *testing.T) {
	for _, both := range []bool{false, true} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		persist(a, b, 25)
		if both {
			persist(b, a, 25)
		}
		n.Run(time.Hour)
		at := append(times(a.SentOf(wire.TypeInitiation)), times(b.SentOf(wire.TypeInitiation))...)
		if len(at) > 30 || len(at) < 20 {
			t.Errorf("both %v: %d handshakes in an hour, want 20 to 30", both, len(at))
		}
		if got := len(a.SentOf(wire.TypeData)); got < 3600/25/3 || got > 3600/25+40 {
			t.Errorf("both %v: %d keepalives, want %d to %d", both, got, 3600/25/3, 3600/25+40)
		}
		if both {
			continue
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 120*time.Second {
				t.Errorf("handshakes %v apart, want at least 120 s", gap)
			}
		}
	}
}

// A41: when a persistent keepalive is set while the interface is up, one is
// sent at once; when set while it is down, one is sent when it comes up.
// Changing the interval sends none.
func TestSettingPersistentKeepalive(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	persist(a, b, 0)
	a.Send(b, "x")
	n.Run(time.Minute)
	a.Forget()
	persist(a, b, 3600)
	n.Run(time.Second)
	if len(a.Sent) != 1 || len(a.Sent[0].Data) != wire.MinDataSize {
		t.Errorf("with a session a sent %v, want one keepalive", types(a.Sent))
	}
	persist(a, b, 0)
	n.Run(10 * time.Minute)
	a.Forget()
	persist(a, b, 3600)
	n.Run(time.Second)
	if got := fmt.Sprint(types(a.Sent)); got != "[handshake initiation data]" {
		t.Errorf("without a session a sent %v, want an initiation and data", got)
	}
	persist(a, b, 1800)
	n.Run(time.Second)
	if len(a.Sent) != 2 {
		t.Errorf("after a change of the interval a has sent %v, want nothing new", types(a.Sent))
	}
	persist(a, b, 0)
	a.Down()
	persist(a, b, 3600)
	n.Run(time.Minute)
	if len(a.Sent) != 2 {
		t.Errorf("while down a has sent %v, want nothing new", types(a.Sent))
	}
	a.Up()
	n.Run(time.Second)
	if len(a.Sent) != 4 {
		t.Errorf("after it came up a has sent %v, want an initiation and data more", types(a.Sent))
	}
}

// A40, B46: timers continue while the socket refuses everything, and persistent
// keepalives resume once it accepts datagrams again.
func TestSocketRefuses(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	persist(a, b, 10)
	n.Run(15 * time.Second)
	a.Refuse = func(*Datagram) error { return ErrNoBuffers }
	before := len(a.Sent)
	n.Run(time.Hour)
	if got := len(a.Sent) - before; got < 300 || got > 1000 {
		t.Errorf("%d attempts to send in an hour, want 300 to 1000", got)
	}
	if a.Drops.Count(dataplane.DropSend) == 0 {
		t.Error("the failures of the socket were not counted")
	}
	a.Refuse = nil
	received := b.Counts.Received[wire.TypeData]
	n.Run(30 * time.Second)
	if b.Counts.Received[wire.TypeData] == received {
		t.Error("no keepalive arrived after the socket worked again")
	}
}

// B32: with a stream in one direction for ten minutes, only the initiator
// rekeys, when it sends on a session of 120 s, even if that is only a
// keepalive. Nothing is lost.
func TestOneWayStream(t *testing.T) {
	for _, c := range []struct {
		name           string
		initiatorSends bool
		minGap, maxGap time.Duration
	}{
		{"initiator sends", true, 120 * time.Second, 121 * time.Second},
		{"responder sends", false, 120 * time.Second, 131 * time.Second},
	} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		a.Send(b, "first")
		n.Run(500 * time.Millisecond)
		from, to := a, b
		if !c.initiatorSends {
			from, to = b, a
		}
		to.Got = nil
		sent := 0
		n.Every(250*time.Millisecond, func() bool { from.Send(to, fmt.Sprint(sent)); sent++; return n.Now() < 10*time.Minute })
		n.Run(11 * time.Minute)
		equal(t, c.name, to.Payloads(), numbers(0, sent))
		if got := len(b.SentOf(wire.TypeInitiation)); got != 0 {
			t.Errorf("%s: the responder sent %d initiations, want none", c.name, got)
		}
		at := times(a.SentOf(wire.TypeInitiation))
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < c.minGap || gap > c.maxGap {
				t.Errorf("%s: rekeyed after %v, want %v to %v", c.name, gap, c.minGap, c.maxGap)
			}
		}
		if len(at) < 3 {
			t.Errorf("%s: %d handshakes, want at least 3", c.name, len(at))
		}
	}
}

// A36, B33: nothing is sent on a session that is 180 s old. B37: the first
// packet after any idle time arrives.
func TestFirstPacketAfterIdle(t *testing.T) {
	for _, rest := range []time.Duration{
		119 * time.Second, 121 * time.Second, 179 * time.Second, 180*time.Second - time.Nanosecond,
		180 * time.Second, 181 * time.Second, 10 * time.Minute, 24 * time.Hour,
	} {
		for _, responder := range []bool{false, true} {
			n := newChecked(t, 1)
			n.Default.Delay = 0
			a, b := n.Pair()
			a.Send(b, "x")
			n.Run(rest) // without delay, the session is created at 0
			from, to := a, b
			if responder {
				from, to = b, a
			}
			a.Forget()
			b.Forget()
			from.Send(to, "y")
			n.Run(time.Second)
			equal(t, fmt.Sprintf("after %v", rest), to.Payloads(), []string{"y"})
			old := rest >= 180*time.Second
			if first := from.Sent[0].Type(); (first == wire.TypeInitiation) != old {
				t.Errorf("after %v the first datagram is a %v, want an initiation: %v", rest, first, old)
			}
		}
	}
}

// A36, B33: a packet that arrives when its session is 180 s old is dropped and
// counted, although the session was valid when the packet was sent.
func TestPacketArrivesAfterKeyExpiry(t *testing.T) {
	n := newChecked(t, 1)
	n.Default.Delay = 0
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(179 * time.Second)
	n.Default.Delay = time.Second
	b.Send(a, "late") // from the responder, which does not rekey
	n.Run(time.Second)
	if len(a.Got) != 0 || a.Drops.Count(dataplane.DropExpired) != 1 {
		t.Errorf("a got %v and dropped %d as expired, want none and 1", a.Payloads(), a.Drops.Count(dataplane.DropExpired))
	}
}

// A39, B17: after a long sleep a host's keys are expired: its first packet
// starts a handshake.
func TestSuspend(t *testing.T) {
	for _, slept := range []time.Duration{time.Minute, 3 * time.Minute, time.Hour, 30 * 24 * time.Hour} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		a.Send(b, "x")
		n.Run(time.Second)
		b.Send(a, "answered")
		n.Run(time.Second)
		a.Forget()
		b.Forget()
		a.Sleep(slept)
		n.Run(slept + time.Millisecond)
		a.Send(b, "y")
		n.Run(time.Second)
		equal(t, fmt.Sprintf("after %v", slept), b.Payloads(), []string{"y"})
		if first := a.Sent[0].Type(); (first == wire.TypeInitiation) != (slept > time.Minute) {
			t.Errorf("after %v the first datagram is a %v, want an initiation: %v", slept, first, slept > time.Minute)
		}
	}
}

// A39, B17: either end is suspended during a handshake; soon after it wakes up,
// traffic continues.
func TestSuspendInMidHandshake(t *testing.T) {
	for step := range scaled(8) {
		n := newChecked(t, uint64(step))
		a, b := n.Pair()
		a.JobTime, b.JobTime = 5*time.Millisecond, 5*time.Millisecond
		sleeper := n.Hosts[step%2]
		n.After(time.Duration(step)*6*time.Millisecond, func() { sleeper.Sleep(20 * time.Minute) })
		n.Every(time.Second, func() bool { a.Send(b, "x"); b.Send(a, "y"); return n.Now() < 25*time.Minute })
		n.Run(20*time.Minute + 15*time.Second)
		a.Got, b.Got = nil, nil
		n.Run(10 * time.Second)
		if len(a.Got) < 9 || len(b.Got) < 9 {
			t.Errorf("step %d: a got %d and b got %d packets in 10 s, want at least 9", step, len(a.Got), len(b.Got))
		}
	}
}
