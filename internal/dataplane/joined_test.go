package dataplane

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// Trains of one read that share a buffer, as without GRO, are opened together
// and joined across their boundaries.
func TestJoinedAcrossTrains(t *testing.T) {
	for _, share := range []bool{false, true} {
		a, b := pair(t)
		f := tcpSuper(1, pattern(20000), 1000)
		a.send(start, f)
		train := a.udp.take()[0]
		const slot = 2048
		buf := make([]byte, slot*train.Count())
		var bs []batch.Batch
		for i := range train.Count() {
			n := copy(buf[i*slot:], train.At(i))
			one := batch.Batch{Data: buf[i*slot : i*slot+n], Stride: n, Remote: a.at}
			if share {
				one.Buf, one.Off = buf, i*slot
			}
			bs = append(bs, one)
		}
		b.receive(bs...)
		if got := b.tun.take(); len(got) != 1 || !bytes.Equal(got[0], f) {
			t.Errorf("shared %v: %d frames, want one equal to the frame sent", share, len(got))
		}
		b.wantDrops(nil)
	}
}

// together returns data messages from k in one buffer, each as its own train.
func together(k *session.Keypair, from wire.Endpoint, ecn []byte, packets [][]byte) (bs []batch.Batch) {
	var buf []byte
	for i, p := range packets {
		b := seal(k, from, ecn[i], p)
		b.Off = len(buf)
		buf = append(buf, b.Data...)
		bs = append(bs, b)
	}
	for i := range bs {
		b := &bs[i]
		b.Buf, b.Data = buf, buf[b.Off:][:len(b.Data)]
	}
	return bs
}

// A49: a packet that continues a super-packet exactly, but comes from another
// peer, is refused, even right after a valid packet of that peer.
func TestContinuedByAnotherPeer(t *testing.T) {
	for _, ownFirst := range []bool{false, true} {
		a, b := pair(t)
		stranger, from := peer.New(peer.NewCommon(testTiming())), netip.MustParseAddr("10.0.0.7")
		b.route(stranger, netip.PrefixFrom(from, 32))
		theirs, ours := keypairs(start)
		ours.Local, theirs.Remote = local+1, local+1
		if _, err := b.Index.Reserve(bytes.NewReader([]byte{5, 3, 2, 1}), &index.Entry{Peer: stranger, Keypair: ours}); err != nil {
			t.Fatal(err)
		}
		packets := splitAll(tcpSuper(1, pattern(8*1000), 1000))
		bs := together(a.peer.Sessions().Current, a.at, make([]byte, 5), packets[:5])
		rest, frames := packets[5:], 1
		if ownFirst {
			rest, frames = append([][]byte{udpPacket(from, addrB, 64)}, rest...), 2
		}
		bs = append(bs, together(theirs, a.at, make([]byte, 4), rest)...)
		b.receive(bs...)
		if got := b.tun.take(); len(got) != frames || len(splitAll(got[0])) != 5 {
			t.Errorf("own packet first %v: %d frames, or not 5 packets in the first", ownFirst, len(got))
		}
		b.wantDrops(map[Drop]uint64{DropSource: 3})
	}
}

// A56: the ECN rules also hold in the middle of a train.
func TestECNInATrain(t *testing.T) {
	for inner := range byte(4) {
		for outer := range byte(4) {
			a, b := pair(t)
			packets := splitAll(tcpSuper(1, pattern(6*1000), 1000))
			for _, p := range packets {
				packet.SetECN(p, inner)
			}
			ecn := []byte{0, 0, 0, outer, 0, 0}
			b.receive(together(a.peer.Sessions().Current, a.at, ecn, packets)...)
			var got [][]byte
			for _, f := range b.tun.take() {
				got = append(got, splitAll(f)...)
			}
			mark, lost := packet.CombineECN(inner, outer)
			packet.SetECN(packets[3], mark)
			if !slices.EqualFunc(got, packets, bytes.Equal) {
				t.Errorf("inner %d, outer %d: %d packets, not equal to those sent", inner, outer, len(got))
			}
			b.wantDrops(nil)
			want := map[Counter]uint64{}
			if lost {
				want[CountECNUnmarked] = 1
			}
			b.wantCounters(want)
		}
	}
}

// The offloads of the interface are queried for each batch, since they may
// change.
func TestJoiningStopsWithTheOffload(t *testing.T) {
	a, b := pair(t)
	for _, c := range []struct {
		offloads packet.Offloads
		frames   int
	}{
		{packet.Offloads{TCP: true}, 1}, {packet.Offloads{UDP: true}, 6}, {packet.Offloads{}, 6}, {packet.Offloads{TCP: true}, 1},
	} {
		b.offloads = c.offloads
		packets := splitAll(tcpSuper(1, pattern(6*1000), 1000))
		b.receive(together(a.peer.Sessions().Current, a.at, make([]byte, 6), packets)...)
		frames := b.tun.take()
		if len(frames) != c.frames {
			t.Errorf("%+v: %d frames, want %d", c.offloads, len(frames), c.frames)
		}
		var got [][]byte
		for _, f := range frames {
			got = append(got, splitAll(f)...)
		}
		if !slices.EqualFunc(got, packets, bytes.Equal) {
			t.Errorf("%+v: the packets differ from those sent", c.offloads)
		}
	}
	b.Shared.Offloads = nil
	b.receive(together(a.peer.Sessions().Current, a.at, make([]byte, 2), splitAll(tcpSuper(1, pattern(2000), 1000)))...)
	if n := len(b.tun.take()); n != 2 {
		t.Errorf("an interface without offloads got %d frames for two packets, want 2", n)
	}
}
