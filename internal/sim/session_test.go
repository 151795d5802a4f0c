package sim

import (
	"fmt"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/dataplane"
	"wgd/internal/wire"
)

// A32: a late packet of the previous session is accepted; one of the session
// before that is dropped and counted.
func TestLatePackets(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "first")
	n.Run(time.Second)
	n.Default.Delay = 5 * time.Second // delays the first of two packets
	a.Send(b, "one session late")
	n.Default.Delay = 175 * time.Second
	a.Send(b, "two sessions late")
	n.Default.Delay = 10 * time.Millisecond
	renew := func() {
		messages := uint64(1)
		a.Must(conf.Change{Tunables: conf.TunablesChange{RekeyAfterMessages: &messages}})
		index := b.Peer(a).Sessions().Current.Local
		n.Run(4500 * time.Millisecond) // the gap between initiations
		a.Send(b, "renew")
		for range 10 {
			n.Run(100 * time.Millisecond)
		}
		if b.Peer(a).Sessions().Current.Local == index {
			t.Fatal("the session was not renewed")
		}
		messages = 1 << 60
		a.Must(conf.Change{Tunables: conf.TunablesChange{RekeyAfterMessages: &messages}})
	}
	renew()
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"first", "renew", "one session late"})
	renew()
	n.Run(200 * time.Second)
	equal(t, "b", b.Payloads(), []string{"first", "renew", "one session late", "renew"})
	if got := b.Drops.Count(dataplane.DropNoSession); got != 1 {
		t.Errorf("%d packets counted as without a session, want 1", got)
	}
}

// A33: the responder sends nothing on a session on which it has received no
// data, for example because the initiator's data was lost. To send, it starts a
// handshake itself.
func TestUnconfirmedSession(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	n.Path = func(d *Datagram) Path {
		if d.From == a.Addr() && d.Type() == wire.TypeData {
			return Path{Loss: 1}
		}
		return Path{Delay: 10 * time.Millisecond}
	}
	a.Send(b, "lost")
	n.Run(time.Second)
	b.Send(a, "y")
	n.Run(3 * time.Second)
	if got := len(b.SentOf(wire.TypeData)); got != 0 {
		t.Errorf("%d data messages on an unconfirmed session, want none", got)
	}
	n.Run(3 * time.Second)
	equal(t, "a", a.Payloads(), []string{"y"})
	if got := len(b.SentOf(wire.TypeInitiation)); got != 1 {
		t.Errorf("%d initiations of the responder, want 1", got)
	}
}

// B44, A33: a replay of the first data message does not confirm the next
// session.
func TestReplayConfirmsNothing(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Send(b, "x")
	n.Run(time.Second)
	first := a.SentOf(wire.TypeData)[0]
	n.Run(130 * time.Second)
	n.Path = func(d *Datagram) Path { // lose the data of the rekey, not its handshake
		if d.Type() == wire.TypeData && d.From == a.Addr() {
			return Path{Loss: 1}
		}
		return Path{}
	}
	a.Send(b, "y")
	n.Run(time.Second)
	before := *b.Peer(a).Sessions()
	if before.Next == nil {
		t.Fatal("there is no next session")
	}
	n.Path = nil
	n.Inject(a.Addr(), b.Addr(), first.Data)
	n.Run(time.Second)
	if after := *b.Peer(a).Sessions(); after != before {
		t.Error("a replay confirmed the next session")
	}
}

// A37: after Rekey-After-Messages either side rekeys, also the responder, but
// not within 5 s of its last initiation. Nothing is lost.
func TestRekeyAfterMessages(t *testing.T) {
	for _, responder := range []bool{false, true} {
		n := newChecked(t, 1)
		a, b := n.Pair()
		a.Send(b, "x")
		n.Run(time.Second)
		from, to := a, b
		if responder {
			from, to = b, a
		}
		messages := uint64(100)
		from.Must(conf.Change{Tunables: conf.TunablesChange{RekeyAfterMessages: &messages}})
		from.Forget()
		to.Got = nil
		sent := 0
		n.Every(20*time.Millisecond, func() bool { from.Send(to, fmt.Sprint(sent)); sent++; return sent < 3000 })
		n.Run(70 * time.Second)
		equal(t, "packets", to.Payloads(), numbers(0, sent))
		at := times(from.SentOf(wire.TypeInitiation))
		if len(at) < 8 || len(at) > 12 {
			t.Errorf("responder %v: %d initiations in a minute, want 8 to 12", responder, len(at))
		}
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap < 5*time.Second {
				t.Errorf("responder %v: initiations %v apart, want at least 5 s", responder, gap)
			}
		}
	}
}

// A45, B48, B53: with any MTU, even 0 or absurd values, packets up to the MTU
// arrive, and padding does not exceed it.
func TestMTU(t *testing.T) {
	for _, mtu := range []int{0, 1, 28, 576, 1280, 1299, 1420, 9000, 65475} {
		n := New(1)
		a, b := n.Pair()
		a.Shared.MTU.Store(int32(mtu))
		b.Shared.MTU.Store(int32(mtu))
		longest := 0
		n.Tap = func(_ *Host, d *Datagram) {
			if d.Type() == wire.TypeData {
				longest = max(longest, len(d.Data)-wire.MinDataSize)
			}
		}
		sizes := []int{0, 1, 15, 16, 17, mtu / 2, mtu - 16, mtu - 1, mtu}
		sent := 0
		for _, size := range sizes {
			if size >= 28 {
				a.Send(b, string(make([]byte, size-28)))
				sent++
			}
		}
		n.Run(time.Second)
		if len(b.Got) != sent || mtu >= 28 && longest > mtu {
			t.Errorf("MTU %d: %d of %d packets arrived, the longest with %d bytes", mtu, len(b.Got), sent, longest)
		}
	}
}

// A46: a packet that does not fit into a datagram is answered with an ICMP
// error on the interface.
func TestTooBig(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	a.Shared.MTU.Store(65535)
	a.Send(b, string(make([]byte, 65475-28)))
	a.Send(b, string(make([]byte, 65476-28)))
	n.Run(time.Second)
	if len(b.Got) != 1 || len(a.Got) != 1 || a.Drops.Count(dataplane.DropTooBig) != 1 {
		t.Errorf("%d packets arrived, %d ICMP errors, %d dropped; want 1, 1, 1", len(b.Got), len(a.Got), a.Drops.Count(dataplane.DropTooBig))
	}
}
