package sim

import (
	"fmt"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// persist has h keep its tunnel to other alive.
func persist(h, other *Host, seconds uint16) {
	h.Must(conf.Change{Peers: []conf.PeerChange{{PublicKey: other.Public(), PersistentKeepalive: &seconds}}})
}

// silence loses everything.
func (n *Internet) loseAll() { n.Default.Loss = 1 }

// B30: a dead peer gets 18 to 20 initiations, 5 s and up to 333 ms apart, within
// 90 to 107 s; the staged packets are dropped and counted (A42), and then there
// is silence. A packet later begins anew.
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
		t.Fatalf("%d datagrams, at %v", len(at), at)
	}
	for i := 1; i < len(at); i++ {
		if gap := at[i] - at[i-1]; gap < 5*time.Second || gap > 5333*time.Millisecond {
			t.Errorf("initiation %d comes %v after the one before", i, gap)
		}
	}
	if got := a.Drops.Count(dataplane.DropStaged); got != 10 || a.Index.Len() != 0 {
		t.Errorf("%d staged packets dropped, %d indices left", got, a.Index.Len())
	}
	n.Default.Loss = 0
	a.Send(b, "y")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"y"})
}

// A35, B30: while the peer is dead and something is sent all the time, there
// are initiations all the time, at least 5 s apart, and keys are erased 540 s
// after the last session.
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
		t.Error("keys are erased early")
	}
	n.Run(time.Hour)
	at := times(a.SentOf(wire.TypeInitiation))
	if len(at) < 3600/6 || len(at) > 3600/5+20 {
		t.Errorf("%d initiations in an hour", len(at))
	}
	for i := 1; i < len(at); i++ {
		if gap := at[i] - at[i-1]; gap < 5*time.Second {
			t.Fatalf("initiation %d comes %v after the one before", i, gap)
		}
	}
	if s := a.Peer(b).Sessions(); s.Current != nil || s.Previous != nil || s.Next != nil {
		t.Errorf("keys are left: %+v", s)
	}
}

// B31: the peer is gone: 15 s and up to 333 ms after the first packet that
// nobody answers there is an initiation.
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
			t.Errorf("initiations at %v, the first packet at %v", at, began)
		}
	}
}

// B9, A40: peers that have nothing to say are silent: after a packet each way,
// no more than one keepalive, for ever.
func TestIdleHour(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "ping")
	n.Run(time.Second)
	b.Send(a, "pong")
	n.Run(time.Hour)
	if got := len(a.Sent) + len(b.Sent); got != 5 {
		t.Errorf("%d datagrams: %v and %v", got, types(a.Sent), types(b.Sent))
	}
}

// B10: the passive keepalive comes 10 s after data that nothing was sent after,
// and not at all when something was; the persistent one only into silence.
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
				t.Errorf("host %d sends a keepalive at %v beside traffic", h.Name, d.At)
			}
		}
	}
}

// B62, B9: with persistent keepalives alone, there is never a handshake more
// often than every 120 s, and a packet every 25 s.
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
			t.Errorf("both %v: %d handshakes in an hour", both, len(at))
		}
		if got := len(a.SentOf(wire.TypeData)); got < 3600/25/3 || got > 3600/25+40 {
			t.Errorf("both %v: %d keepalives", both, got)
		}
		if both {
			continue
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 120*time.Second {
				t.Errorf("handshakes %v apart", gap)
			}
		}
	}
}

// A41: set while up, a persistent keepalive goes out at once; set while down,
// when the interface comes up; and setting another interval sends none.
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
		t.Errorf("on a session a sent %v", types(a.Sent))
	}
	persist(a, b, 0)
	n.Run(10 * time.Minute)
	a.Forget()
	persist(a, b, 3600)
	n.Run(time.Second)
	if got := fmt.Sprint(types(a.Sent)); got != "[handshake initiation data]" {
		t.Errorf("without one a sent %v", got)
	}
	persist(a, b, 1800)
	n.Run(time.Second)
	if len(a.Sent) != 2 {
		t.Errorf("another interval sends: %v", types(a.Sent))
	}
	persist(a, b, 0)
	a.Down()
	persist(a, b, 3600)
	n.Run(time.Minute)
	if len(a.Sent) != 2 {
		t.Errorf("sent while down: %v", types(a.Sent))
	}
	a.Up()
	n.Run(time.Second)
	if len(a.Sent) != 4 {
		t.Errorf("not sent when up: %v", types(a.Sent))
	}
}

// A40, B46: timers go on when the socket refuses everything, and the persistent
// keepalive goes out as soon as it takes packets again.
func TestSocketRefuses(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	persist(a, b, 10)
	n.Run(15 * time.Second)
	a.Refuse = func(*Datagram) error { return ErrNoBuffers }
	before := len(a.Sent)
	n.Run(time.Hour)
	if got := len(a.Sent) - before; got < 300 || got > 1000 {
		t.Errorf("%d tries in an hour", got)
	}
	if a.Drops.Count(dataplane.DropSend) == 0 {
		t.Error("nothing is counted")
	}
	a.Refuse = nil
	received := b.Counts.Received[wire.TypeData]
	n.Run(30 * time.Second)
	if b.Counts.Received[wire.TypeData] == received {
		t.Error("no keepalive since the socket works again")
	}
}

// B32: with a stream in one direction for ten minutes, exactly one side renews
// the session, the initiator, when it sends on a key of 120 s, be it one of its
// keepalives, and nothing is lost.
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
			t.Errorf("%s: the responder sends %d initiations", c.name, got)
		}
		at := times(a.SentOf(wire.TypeInitiation))
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < c.minGap || gap > c.maxGap {
				t.Errorf("%s: renewed after %v", c.name, gap)
			}
		}
		if len(at) < 3 {
			t.Errorf("%s: %d handshakes", c.name, len(at))
		}
	}
}

// A36, B33: nothing is sent or taken on a key of 180 s. B37: the first packet
// after any rest arrives.
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
			n.Run(rest) // without delays the session is made at 0
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
				t.Errorf("after %v the first datagram is a %v", rest, first)
			}
		}
	}
}

// A36, B33: a packet that was sent on a young key and comes when the key is
// 180 s old is dropped and counted.
func TestPacketArrivesAfterKeyExpiry(t *testing.T) {
	n := newChecked(t, 1)
	n.Default.Delay = 0
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(179 * time.Second)
	n.Default.Delay = time.Second
	b.Send(a, "late") // the responder's: it does not renew the session
	n.Run(time.Second)
	if len(a.Got) != 0 || a.Drops.Count(dataplane.DropExpired) != 1 {
		t.Errorf("a got %v, dropped %d as expired", a.Payloads(), a.Drops.Count(dataplane.DropExpired))
	}
}

// A39, B17: a host that slept has old keys: what wakes it begins a handshake,
// and what the others sent meanwhile is not taken on the old ones.
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
			t.Errorf("after %v the first datagram is a %v", slept, first)
		}
	}
}

// A39, B17: a suspend in the middle of a handshake, and the peer's; traffic goes
// on by itself soon after.
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
			t.Errorf("step %d: %d and %d packets in 10 s", step, len(a.Got), len(b.Got))
		}
	}
}
