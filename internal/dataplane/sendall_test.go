package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"wgd/internal/batch"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// many is the first of manyPeers, with its peers. Each has its number, from 1, as its port,
// and a source.
func many(t testing.TB, n int) (a *side, peers []*peer.Peer) {
	a, _ = manyPeers(t, n)
	peers = a.linkedPeers(n)
	for i, p := range peers {
		p.SetEndpoint(wire.NewEndpoint(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.9"), uint16(i)+1), netip.MustParseAddr("192.0.2.1"), 4))
	}
	return a, peers
}

// toMany returns a frame for each of the numbers; its length tells its place.
func toMany(list ...int) (frames [][]byte) {
	for i, n := range list {
		frames = append(frames, frameTo(byte(n), 64+16*(i%4)))
	}
	return frames
}

// The trains of a job to several peers are sent in one call, in the order of reading; one
// train is sent by itself.
func TestJobIsSentTogether(t *testing.T) {
	a, _ := many(t, 3)
	a.send(start, toMany(0, 1, 2, 0, 1, 1)...)
	var ports []uint16
	for _, train := range a.udp.take() {
		ports = append(ports, train.Remote.Remote.Port())
	}
	if want := []uint16{1, 2, 3, 1, 2, 2}; !slices.Equal(ports, want) || !slices.Equal(a.udp.together, []int{6}) {
		t.Errorf("sent to ports %d, in calls for %d trains; want %d in one", ports, a.udp.together, want)
	}
	a.udp.together = nil
	a.send(start, toMany(1)...)
	a.enc.Keepalive(a.sealing, start, a.peer)
	if len(a.udp.take()) != 2 || a.udp.together != nil {
		t.Errorf("single trains were sent in calls for %d", a.udp.together)
	}
}

// What became of a train concerns its own peer only: bytes are counted if it was sent, the
// source is forgotten if it is gone (A52), the packet has the right reason if it was
// dropped, and only what was sent is captured. The times of sending advance for all (A40,
// B46).
func TestOutcomeOfEachTrain(t *testing.T) {
	a, peers := many(t, 5)
	end := a.capture(nil)
	unreachable := errors.New("network is unreachable")
	a.udp.errs = []error{nil, batch.ErrSourceGone, unreachable, fmt.Errorf("socket: %w", batch.ErrBacklog), errors.Join(batch.ErrSourceGone, unreachable), nil}
	now := start.Add(time.Second)
	a.send(now, toMany(0, 1, 2, 3, 4, 0)...)
	for i, want := range []struct {
		sent   uint64
		source bool
	}{{96 + 112, true}, {112, false}, {0, true}, {0, true}, {0, false}} {
		p := peers[i]
		if _, sent := p.Bytes(); sent != want.sent || p.Endpoint().Source.IsValid() != want.source {
			t.Errorf("peer %d: %d bytes sent, want %d; endpoint %+v, with a source: %t", i, sent, want.sent, p.Endpoint(), want.source)
		}
		if p.LastSent() != now || p.Unanswered() != now {
			t.Errorf("peer %d: the times of sending were not updated", i)
		}
	}
	a.wantDrops(map[Drop]uint64{DropSend: 2, DropBacklog: 1})
	if n := a.Sent.Count(); n != 3 {
		t.Errorf("%d packets counted as sent, want 3", n)
	}
	if got := end(); !reflect.DeepEqual(got.outer[0], datagrams(a.udp.take())) || len(got.outer[0]) != 3 {
		t.Errorf("%d datagrams captured, want the 3 that were sent", len(got.outer[0]))
	}
}

// A section whose key was erased (A35) is left out, and the outcomes of the others stay
// with their peers.
func TestOutcomesBesideAnErasedKey(t *testing.T) {
	a, peers := many(t, 4)
	if !a.enc.Prepare(a.sealing, start, toMany(0, 1, 2, 3)) {
		t.Fatal("the job is not complete")
	}
	peers[1].Sessions().Current.Erase()
	a.sealing.Seal()
	a.udp.errs = []error{nil, batch.ErrBacklog, nil}
	a.enc.Send(a.sealing)
	for i, want := range []uint64{96, 0, 0, 144} {
		if _, sent := peers[i].Bytes(); sent != want {
			t.Errorf("peer %d: %d bytes sent, want %d", i, sent, want)
		}
	}
	a.wantDrops(map[Drop]uint64{DropSessionEnded: 1, DropBacklog: 1})
	if wants, _, _ := a.notes.take(); wants != 1 || !slices.Equal(a.udp.together, []int{3}) {
		t.Errorf("a session was requested %d times, want once; calls for %d trains", wants, a.udp.together)
	}
}

// A52: a source that no longer exists is removed from the endpoint, and no packet
// is lost. Trains of the same job may each find that it is gone.
func TestSourceGone(t *testing.T) {
	a, _ := pair(t)
	sticky := wire.NewEndpoint(a.peer.Endpoint().Remote, netip.MustParseAddr("192.0.2.1"), 4)
	a.peer.SetEndpoint(sticky)
	a.udp.errs = []error{batch.ErrSourceGone, batch.ErrSourceGone}
	f, long := frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA, addrB, 128))
	a.send(start, f, long)
	if a.peer.Endpoint() != sticky.Sourceless() {
		t.Errorf("the endpoint is %+v, want %+v", a.peer.Endpoint(), sticky.Sourceless())
	}
	a.send(start, f)
	if len(a.udp.trains) != 3 || a.udp.trains[0].Remote.Source != sticky.Source || a.udp.trains[2].Remote != sticky.Sourceless() {
		t.Error("want 3 trains, that of the second job without the source")
	}
	if _, sent := a.peer.Bytes(); sent != 96+160+96 {
		t.Errorf("%d bytes sent, want %d", sent, 96+160+96)
	}
	a.wantDrops(nil)
}
