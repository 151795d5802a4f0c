package sim

import (
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/dataplane"
)

// errorsTo counts the ICMP errors that h has got from its tunnel.
func errorsTo(h *Host) (n int) {
	for _, p := range h.Got {
		if !p.UDP && p.To == h.Inner4 && p.Payload[9] == 1 {
			n++
		}
	}
	return n
}

// Packets to an address that no peer has wait while a program is asked, without an ICMP
// error. When the program adds the peer, they go on in order, after a handshake.
func TestUnknownDestination(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	about := b.About()
	a.Must(conf.Change{ReplacePeers: true})
	a.Send(b, "nobody is asked")
	if got := errorsTo(a); got != 1 {
		t.Fatalf("%d ICMP errors without a subscriber", got)
	}
	s := a.Unknown.Subscribe()
	want := numbers(0, 20)
	for _, p := range want[:10] {
		a.Send(b, p)
	}
	n.Run(time.Second)
	for _, p := range want[10:] {
		a.Send(b, p)
	}
	if list := wantsOf(s); len(list) != 1 || list[0].Kind != conf.UnknownDestination || list[0].Address != b.Inner4 {
		t.Fatalf("wants %+v", list)
	}
	if got := errorsTo(a); got != 1 || a.Drops.Count(dataplane.DropNoPeer) != 1 {
		t.Errorf("%d ICMP errors, %d drops, while packets wait", got-1, a.Drops.Count(dataplane.DropNoPeer)-1)
	}
	a.Must(conf.Change{Peers: []conf.PeerChange{about}})
	a.Send(b, "later")
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), append(want, "later"))

	// The peer is there and has a session, and gets another address.
	b.Forget()
	c := n.NewHost("192.0.2.77")
	a.Send(c, "to another address of b")
	if list := wantsOf(s); len(list) != 1 {
		t.Fatalf("wants %+v", list)
	}
	about.AllowedIPs = c.About().AllowedIPs
	a.Must(conf.Change{Peers: []conf.PeerChange{about}})
	n.Run(time.Second)
	equal(t, "b", b.Payloads(), []string{"to another address of b"})
}

// Packets that nobody takes within 5 seconds are dropped and counted, and those that follow
// are answered with ICMP errors. After a refusal, that is so at once. A peer without an
// endpoint cannot be sent what has waited.
func TestUnknownDestinationInVain(t *testing.T) {
	n := newChecked(t, 1)
	a, b := n.Pair()
	about := b.About()
	a.Must(conf.Change{ReplacePeers: true})
	s := a.Unknown.Subscribe()
	a.Send(b, "x")
	n.Run(5 * time.Second)
	a.Send(b, "x")
	if got := a.Drops.Count(dataplane.DropNoPeer); got != 2 || errorsTo(a) != 1 {
		t.Errorf("%d packets dropped, %d ICMP errors", got, errorsTo(a))
	}
	n.Run(time.Minute)
	wantsOf(s)
	a.Send(b, "x")
	list := wantsOf(s)
	if len(list) != 1 || errorsTo(a) != 1 {
		t.Fatalf("a minute later: wants %+v, %d ICMP errors", list, errorsTo(a))
	}
	a.Unknown.Refuse(a.mono(), conf.Refusal{Address: list[0].Address, For: 10 * time.Second})
	a.Send(b, "x")
	if got := a.Drops.Count(dataplane.DropNoPeer); got != 4 || errorsTo(a) != 2 {
		t.Errorf("after a refusal: %d packets dropped, %d ICMP errors", got, errorsTo(a))
	}
	n.Run(11 * time.Second)
	a.Send(b, "x")
	about.Endpoint = nil
	a.Must(conf.Change{Peers: []conf.PeerChange{about}})
	n.Run(time.Second)
	if got := a.Drops.Count(dataplane.DropNoEndpoint); got != 1 || len(b.Got) != 0 {
		t.Errorf("without an endpoint: %d packets dropped", got)
	}
}
