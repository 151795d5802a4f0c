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

// manyPeers returns two ends with n sessions more, each of another peer.
func manyPeers(t testing.TB, n int) (x, y *side) {
	x, y = pair(t)
	for i := range n {
		linkPeers(x, y, byte(i))
	}
	return x, y
}

// linked returns the session of one of these peers.
func (s *side) linked(i byte) *index.Entry { return s.Index.Lookup(uint32(i) + 100) }

// frameTo returns a frame that x sends to one of them, and y accepts.
func frameTo(i byte, size int, payload ...byte) []byte {
	return frame(udpPacket(netip.AddrFrom4([4]byte{10, 1, 0, i}), netip.AddrFrom4([4]byte{10, 2, 0, i}), size, payload...))
}

// inOneBuffer returns trains as a read without GRO returns them: in one buffer.
func inOneBuffer(trains []batch.Batch, from wire.Endpoint) []batch.Batch {
	trains = slices.Clone(trains)
	var buf []byte
	for i := range trains {
		trains[i].Remote, trains[i].Off = from, len(buf)
		buf = append(buf, trains[i].Data...)
	}
	for i := range trains {
		train := &trains[i]
		train.Buf, train.Data = buf, buf[train.Off:][:len(train.Data)]
	}
	return trains
}

// A35: a session that is erased while its packets share a job with those of others
// takes only its own packets with it, in both directions.
func TestErasedAmongOthers(t *testing.T) {
	const peers, outErased, inErased = 9, 4, 6
	x, y := manyPeers(t, peers)
	var frames, want [][]byte
	for n := range byte(3 * peers) {
		i := n % peers
		frames = append(frames, frameTo(i, 200, n))
		if i != outErased && i != inErased {
			want = append(want, frames[n])
		}
	}
	if !x.enc.Prepare(x.sealing, start, frames) {
		t.Fatal("the job is not complete")
	}
	x.linked(outErased).Keypair.Erase()
	x.sealing.Seal()
	x.enc.Send(x.sealing)
	x.wantDrops(map[Drop]uint64{DropSessionEnded: 3})
	if wants, _, _ := x.notes.take(); wants != 1 {
		t.Errorf("a session was requested %d times, want once", wants)
	}
	if !y.dec.Prepare(y.opening, start, inOneBuffer(x.udp.take(), x.at)) {
		t.Fatal("the job is not complete")
	}
	y.linked(inErased).Keypair.Erase()
	y.opening.Open()
	y.dec.Deliver(y.opening)
	y.wantDrops(map[Drop]uint64{DropExpired: 3})
	if got := y.tun.take(); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d frames of %d, or the frames differ", len(got), len(want))
	}
}

// What is not opened, for any reason, leaves the messages of other sessions in the
// same job as they are, and counts for its own reason (A36, A38).
func TestRefusedAmongOthers(t *testing.T) {
	const peers = 8
	x, y := manyPeers(t, peers)
	expired, handshake := uint32(2+100), uint32(5+100)
	one, two := [32]byte{2, 1}, [32]byte{2, 2}
	y.Index.Replace(expired, &index.Entry{
		Peer:    y.linked(2).Peer,
		Keypair: session.New(&two, &one, expired, expired, false, start.Add(-session.RejectAfterTime)),
	})
	y.Index.Replace(handshake, &index.Entry{Peer: y.linked(5).Peer})
	var frames [][]byte
	for n := range byte(2 * peers) {
		frames = append(frames, frameTo(n%peers, 100, n))
	}
	x.send(start, frames...)
	trains := x.udp.take()
	trains[1].Data[40] ^= 1            // forged
	trains[7].Data[5] ^= 1             // of nobody
	trains = append(trains, trains[3]) // a replay
	trains[4].Data = trains[4].Data[:wire.MinDataSize-1]
	trains[4].Stride = len(trains[4].Data) // no message
	trains[6].Data = trains[6].Data[:60]
	trains[6].Stride = len(trains[6].Data) // forged: its end is missing
	y.receive(inOneBuffer(trains, x.at)...)
	y.wantDrops(map[Drop]uint64{
		DropForged: 2, DropExpired: 2, DropReplay: 1, DropNotAMessage: 1,
		DropNoSession: 3, // of nobody, and the two of the handshake
	})
	var want [][]byte
	for _, n := range []int{0, 3, 8, 9, 11, 12, 14, 15} {
		want = append(want, frames[n])
	}
	if got := y.tun.take(); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d frames of %d, or the frames differ", len(got), len(want))
	}
}

// A job of many sessions delivers what each message delivers in a job of its own,
// with the same notes and drops, whatever arrives.
func FuzzReceiveOfMany(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a0b0c0d0e0f0g0h0i0j0"))
	f.Add([]byte("a1a2a3b4b5b6b7c8c9d1d2e3a4f5a6"))
	f.Add(bytes.Repeat([]byte{1, 30, 2, 70, 3, 30, 4, 150, 1, 3, 2, 4, 3, 5, 4, 6, 0, 7}, 8))
	f.Fuzz(func(t *testing.T, script []byte) {
		const peers = 10
		x, one := manyPeers(t, peers)
		_, each := manyPeers(t, peers)
		trains := mixed(x, []*side{one, each}, script[:min(len(script), 300)], peers)
		for i := range trains {
			b := copyOf(trains[i])
			b.Remote = x.at
			each.receive(b)
		}
		one.receive(inOneBuffer(trains, x.at)...)
		got, want := packets(one.tun.take()), packets(each.tun.take())
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%d packets differ from the %d that arrive one by one", len(got), len(want))
		}
		if got, want := one.tally(one.linkedPeers(peers)), each.tally(each.linkedPeers(peers)); !slices.Equal(got, want) {
			t.Fatalf("notes and drops are %d, want %d", got, want)
		}
	})
}

func (s *side) linkedPeers(n int) (list []*peer.Peer) {
	for i := range n {
		list = append(list, s.linked(byte(i)).Peer)
	}
	return list
}

// mixed returns what arrives from x according to a script: for each message a peer,
// and what is special about it. Sessions of the receivers may be erased.
func mixed(x *side, receivers []*side, script []byte, peers byte) (trains []batch.Batch) {
	var sent [][]byte
	for ; len(script) >= 2; script = script[2:] {
		i, kind := script[0]%peers, script[1]
		k := x.linked(i).Keypair
		p := frameTo(i, 28+int(kind)%50*29, kind)[packet.VirtioHeaderSize:]
		msg := seal(k, x.at, 0, p).Data
		sent = append(sent, bytes.Clone(msg))
		switch kind % 20 {
		case 3: // not authentic; possibly of nobody, or no message
			msg[int(kind)%len(msg)] ^= 0x10
		case 4: // a replay
			msg = bytes.Clone(sent[int(kind)*7%len(sent)])
		case 5:
			msg = msg[:int(kind)%len(msg)]
		case 6:
			msg = seal(k, x.at, 0, nil).Data // a keepalive
		case 7:
			for _, s := range receivers {
				s.linked(i).Keypair.Erase()
			}
		}
		trains = append(trains, batch.Batch{Data: msg, Stride: len(msg)})
	}
	return trains
}

// A job to many peers sends the same datagrams, in the same order, as a job for each
// frame, and the other end opens all of them.
func FuzzSendToMany(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("a0b0c0d0e0f0g0h0i0j0"))
	f.Add([]byte("a1a2a3b4b5b6b7c8c9d1d2e3a4f5a6"))
	f.Add(bytes.Repeat([]byte{1, 30, 2, 70, 3, 30, 4, 150, 1, 3, 2, 4, 3, 5, 4, 6, 0, 7}, 20))
	f.Fuzz(func(t *testing.T, script []byte) {
		const peers = 10
		one, y := manyPeers(t, peers)
		each, _ := manyPeers(t, peers)
		var frames [][]byte
		for script = script[:min(len(script), 600)]; len(script) >= 2; script = script[2:] {
			i, kind := script[0]%peers, int(script[1])
			fr := frameTo(i, 28+kind%50*29, byte(kind))
			if kind%20 == 19 {
				fr = tcpSuperTo(netip.AddrFrom4([4]byte{10, 2, 0, i}), 1, pattern(kind*100), 1000)
			}
			frames = append(frames, fr)
			each.send(start, fr)
		}
		one.send(start, frames...)
		trains := one.udp.take()
		got, want := datagrams(trains), datagrams(each.udp.take())
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%d datagrams differ from the %d that are sent one by one", len(got), len(want))
		}
		y.receive(inOneBuffer(trains, one.at)...)
		for _, d := range []Drop{DropForged, DropReplay, DropNoSession, DropExpired, DropNotAMessage} {
			if n := y.Drops.Count(d); n > 0 {
				t.Fatalf("%d packets dropped for %v", n, d)
			}
		}
	})
}
