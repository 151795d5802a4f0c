package driver

import (
	"net/netip"
	"testing"

	"wgd/internal/peer"
	"wgd/internal/wire"
)

// from is the n-th of many addresses elsewhere.
func from(n int) wire.Endpoint {
	return wire.NewEndpoint(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 51820), netip.Addr{}, 0)
}

// The handshake queue is first in, first out, and has its bound (A28); what is
// not taken is still counted.
func TestQueue(t *testing.T) {
	in := NewInbox(Capacity)
	var d Delivery
	put, got := 0, 0
	for round := range 50 {
		for in.Put(PutHandshake, from(put), []byte{byte(put)}) {
			put++
		}
		if in.Waiting() != Capacity {
			t.Fatalf("%d wait of %d", in.Waiting(), Capacity)
		}
		in.Take(&d, 100+round)
		if len(d.handshakes) != 100+round || in.Waiting() != Capacity-len(d.handshakes) {
			t.Fatalf("%d taken, %d wait", len(d.handshakes), in.Waiting())
		}
		for _, h := range d.handshakes {
			if h.from != from(got) || h.size != 1 || h.msg[0] != byte(got) {
				t.Fatalf("message %d is from %v", got, h.from)
			}
			got++
		}
	}
	in.Take(&d, -3)
	if len(d.handshakes) != 0 {
		t.Error("taken without room")
	}
	if cap(in.handshakes.list) > 3*Capacity {
		t.Errorf("memory for %d", cap(in.handshakes.list))
	}
	in.Take(&d, Capacity)
	if cap(in.handshakes.list) > maxKept {
		t.Errorf("memory for %d is kept where none waits", cap(in.handshakes.list))
	}
	for i := range 1000 {
		in.Put(PutCookie, from(i), []byte{3})
	}
	if in.WaitingCookies() != cookieCapacity || in.Put(PutHandshake, from(0), make([]byte, wire.InitiationSize+1)) {
		t.Error("bounds")
	}
	// Cookie replies never wait for room among the jobs.
	in.Take(&d, 0)
	if len(d.cookies) != cookieCapacity || in.WaitingCookies() != 0 {
		t.Errorf("%d cookie replies taken, %d wait", len(d.cookies), in.WaitingCookies())
	}
}

// A note waits once, in the order in which it came; lists do not grow beyond
// the number of peers.
func TestNotesWaitOnce(t *testing.T) {
	in := NewInbox(Capacity)
	all := make([]*peer.Peer, 3000)
	for i := range all {
		all[i] = peer.New(peer.NewCommon(peer.Timing{}))
	}
	var d Delivery
	for range 3 {
		for round := range 3 {
			for _, p := range all {
				first := round == 0
				if in.Want(p) != first || in.Wake(p) != first || in.Confirm(p, nil) != first {
					t.Fatalf("round %d: not said whether the note is new", round)
				}
			}
		}
		in.Take(&d, 0)
		if len(d.wants.list) != len(all) || len(d.wakes.list) != len(all) || len(d.confirms.list) != len(all) {
			t.Fatalf("%d, %d, %d notes", len(d.wants.list), len(d.wakes.list), len(d.confirms.list))
		}
		for i, p := range all {
			if d.wants.list[i] != p || d.wakes.list[i] != p || d.confirms.list[i].peer != p {
				t.Fatal("in another order")
			}
		}
	}
	for range 2 {
		in.Take(&d, 0)
	}
	if len(d.wants.list) != 0 || len(d.wants.in) != 0 || cap(d.wants.list) > maxKept {
		t.Error("not empty, or too much memory kept")
	}
}
