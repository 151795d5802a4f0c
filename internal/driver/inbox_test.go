package driver

import (
	"net/netip"
	"testing"

	"wgd/internal/peer"
	"wgd/internal/wire"
)

// from returns the n-th of many remote endpoints.
func from(n int) wire.Endpoint {
	return wire.NewEndpoint(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 51820), netip.Addr{}, 0)
}

// The handshake queue is first in, first out, and bounded (A28); messages that
// Take leaves behind still count as waiting.
func TestQueue(t *testing.T) {
	in := NewInbox(Capacity)
	var d Delivery
	put, got := 0, 0
	for round := range 50 {
		for in.Put(PutHandshake, from(put), []byte{byte(put)}) {
			put++
		}
		if in.Waiting() != Capacity {
			t.Fatalf("%d messages wait, want %d", in.Waiting(), Capacity)
		}
		in.Take(&d, 100+round)
		if len(d.handshakes) != 100+round || in.Waiting() != Capacity-len(d.handshakes) {
			t.Fatalf("took %d messages, %d wait; want %d, %d", len(d.handshakes), in.Waiting(), 100+round, Capacity-len(d.handshakes))
		}
		for _, h := range d.handshakes {
			if h.from != from(got) || h.size != 1 || h.msg[0] != byte(got) {
				t.Fatalf("message %d is from %v, want %v", got, h.from, from(got))
			}
			got++
		}
	}
	in.Take(&d, -3)
	if len(d.handshakes) != 0 {
		t.Errorf("took %d messages without room, want 0", len(d.handshakes))
	}
	if cap(in.handshakes.list) > 3*Capacity {
		t.Errorf("got memory for %d messages, want at most %d", cap(in.handshakes.list), 3*Capacity)
	}
	in.Take(&d, Capacity)
	if cap(in.handshakes.list) > maxKept {
		t.Errorf("the empty queue keeps memory for %d messages, want at most %d", cap(in.handshakes.list), maxKept)
	}
	for i := range 1000 {
		in.Put(PutCookie, from(i), []byte{3})
	}
	if in.WaitingCookies() != cookieCapacity || in.Put(PutHandshake, from(0), make([]byte, wire.InitiationSize+1)) {
		t.Errorf("%d cookie replies wait, want %d; or an oversized message was accepted", in.WaitingCookies(), cookieCapacity)
	}
	// Cookie replies do not wait for room among the jobs.
	in.Take(&d, 0)
	if len(d.cookies) != cookieCapacity || in.WaitingCookies() != 0 {
		t.Errorf("took %d cookie replies, %d wait; want %d, 0", len(d.cookies), in.WaitingCookies(), cookieCapacity)
	}
}

// A repeated note is queued once, in the order of the first; lists do not grow
// beyond the number of peers.
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
					t.Fatalf("round %d: want a new note reported: %v", round, first)
				}
			}
		}
		in.Take(&d, 0)
		if len(d.wants.list) != len(all) || len(d.wakes.list) != len(all) || len(d.confirms.list) != len(all) {
			t.Fatalf("got %d, %d, %d notes, want %d of each", len(d.wants.list), len(d.wakes.list), len(d.confirms.list), len(all))
		}
		for i, p := range all {
			if d.wants.list[i] != p || d.wakes.list[i] != p || d.confirms.list[i].peer != p {
				t.Fatalf("note %d is for another peer, want the order of arrival", i)
			}
		}
	}
	for range 2 {
		in.Take(&d, 0)
	}
	if len(d.wants.list) != 0 || len(d.wants.in) != 0 || cap(d.wants.list) > maxKept {
		t.Errorf("got %d notes and memory for %d, want 0 and at most %d", len(d.wants.list), cap(d.wants.list), maxKept)
	}
}
