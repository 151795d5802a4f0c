package dataplane

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// inside returns the packet in which the host of a sends msg to an address whose
// route leads into the tunnel, as read from the interface.
func inside(to netip.AddrPort, msg []byte) []byte {
	from, header := addrA, 20
	if to.Addr().Is6() {
		from, header = addrA6, 40
	}
	p := udpPacket(from, to.Addr(), header+8+len(msg), msg...)
	binary.BigEndian.PutUint16(p[header:], 51820)
	binary.BigEndian.PutUint16(p[header+2:], to.Port())
	return p
}

// first returns p as the first fragment of a datagram, and later as a subsequent
// one.
func first(p []byte, id uint16) []byte {
	p = bytes.Clone(p)
	binary.BigEndian.PutUint16(p[4:], id)
	p[6] = 0x20
	return p
}

func later(p []byte, id uint16) []byte {
	p = bytes.Clone(p)
	binary.BigEndian.PutUint16(p[4:], id)
	p[7] = 100
	return p
}

// sent encapsulates packets and returns the number of datagrams sent for them.
func (s *side) sent(now clock.Time, packets ...[]byte) (n int) {
	for _, p := range packets {
		s.send(now, frame(p))
	}
	for _, b := range s.udp.take() {
		n += b.Count()
	}
	return n
}

// Our own datagrams that return through the interface are not encapsulated again
// (A46), nor are fragments of them.
func TestLoop(t *testing.T) {
	a, _ := pair(t)
	at := a.peer.Endpoint().Remote
	a.route(a.peer, netip.MustParsePrefix("0.0.0.0/0"))
	a.send(start, frame(udpPacket(addrA, addrB, 100)))
	own := inside(at, a.udp.take()[0].Data)
	if a.sent(start, later(own, 7)) != 1 {
		t.Error("a fragment before any loop was dropped")
	}
	if a.sent(start, own, first(own, 7), later(own, 7)) != 0 || a.sent(start.Add(loopMemory-1), later(own, 7)) != 0 {
		t.Error("our own datagram was encapsulated again")
	}
	a.wantDrops(map[Drop]uint64{DropLoop: 4})

	other := bytes.Clone(own)
	other[20]++
	elsewhere := bytes.Clone(own)
	elsewhere[19]++
	tcp := bytes.Clone(own)
	tcp[9] = 6
	if n := a.sent(start, other, elsewhere, tcp, later(own, 8), later(elsewhere, 7)); n != 5 {
		t.Errorf("%d packets of others were sent, want 5", n)
	}
	if a.sent(start.Add(loopMemory), later(own, 7)) != 1 {
		t.Error("a fragment long after the loop was dropped")
	}
	for i := range uint16(loopFragments) {
		a.sent(start, first(own, 100+i))
	}
	for i := range uint16(loopFragments) {
		if a.sent(start, later(own, 100+i)) != 0 {
			t.Errorf("of %d fragmented datagrams at once, number %d was forgotten", loopFragments, i)
		}
	}
}

// addPeer adds a peer with its own endpoint and session to s; remote is the
// session's index at the other end.
func (s *side) addPeer(at string, remote uint32, prefixes ...netip.Prefix) *peer.Peer {
	p := peer.New(s.common)
	p.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort(at), netip.Addr{}, 0))
	one, two := [32]byte{1}, [32]byte{2}
	k := session.New(&one, &two, s.reserve(remote+1000, &index.Entry{Peer: p}), remote, true, start)
	s.Index.Replace(k.Local, &index.Entry{Peer: p, Keypair: k})
	p.SetSessions(&peer.Sessions{Current: k})
	s.route(p, prefixes...)
	return p
}

// Every message that we sent to a peer is recognized when it returns (A46), and
// no other is: a host behind us may have a tunnel to the same server from the
// same port.
func TestLoopRecognizesOwnMessages(t *testing.T) {
	a, _ := pair(t)
	at := a.peer.Endpoint().Remote
	a.route(a.peer, netip.MustParsePrefix("0.0.0.0/0"))
	stranger := a.addPeer("203.0.113.9:7", 50)
	a.reserve(7, &index.Entry{Peer: a.peer})
	a.reserve(8, &index.Entry{Peer: stranger})
	a.entry(session.New(new([32]byte), new([32]byte), 3, 9, false, start))
	a.entry(session.New(new([32]byte), new([32]byte), 4, 10, true, start))
	a.entry(session.New(new([32]byte), new([32]byte), 5, 11, true, start))
	a.Index.Release(5)
	message := func(kind wire.Type, size int, i uint32) []byte {
		msg := make([]byte, size)
		msg[0] = byte(kind)
		binary.LittleEndian.PutUint32(msg[4:], i)
		return msg
	}
	for _, c := range []struct {
		name string
		msg  []byte
		ours bool
	}{
		{"data", message(wire.TypeData, 128, local), true},
		{"data on another session", message(wire.TypeData, 128, 9), true},
		{"data on a third session", message(wire.TypeData, 128, 10), true},
		{"data on a session that has ended", message(wire.TypeData, 128, 11), false},
		{"data of a stranger", message(wire.TypeData, 128, local+1), false},
		{"data to another peer", message(wire.TypeData, 128, 50), false},
		{"our initiation", message(wire.TypeInitiation, wire.InitiationSize, 7), true},
		{"our response", message(wire.TypeResponse, wire.ResponseSize, 7), true},
		{"an initiation to another peer", message(wire.TypeInitiation, wire.InitiationSize, 8), false},
		{"an initiation of a stranger", message(wire.TypeInitiation, wire.InitiationSize, 13), false},
		{"a cookie reply", message(wire.TypeCookieReply, wire.CookieReplySize, 7), false},
		{"something else", pattern(100), false},
		{"nothing", nil, false},
	} {
		if n := a.sent(start, inside(at, c.msg)); (n == 0) != c.ours {
			t.Errorf("%s: %d sent, ours is %v", c.name, n, c.ours)
		}
	}
}

// pump feeds the datagrams that s sends back into its interface, as a host does
// whose routes to endpoints lead there, until s sends nothing more. It returns
// the number of bytes sent.
func (s *side) pump(now clock.Time) (bytes int) {
	for range 1000 {
		trains := s.udp.take()
		if len(trains) == 0 {
			return bytes
		}
		for _, b := range trains {
			for i := range b.Count() {
				bytes += len(b.At(i))
				if p := inside(b.Remote.Remote, b.At(i)); s.owner(packet.Destination(p)) != nil {
					if b.TTL != 0 {
						p[8] = b.TTL
					}
					s.send(now, frame(p))
				}
			}
		}
	}
	s.t.Fatalf("%d bytes were sent, and the loop does not end", bytes)
	return 0
}

func (s *side) owner(a netip.Addr) *peer.Peer {
	p, _ := s.routes.Load().Lookup(a)
	return p
}

// Peers of one interface may be reached through each other. A closed chain of
// any length is cut after one round, and later packets are dropped at once
// (A46).
func TestLoopThroughPeers(t *testing.T) {
	for _, length := range []int{1, 2, 3, 8} {
		for _, closed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d peers, closed %v", length, closed), func(t *testing.T) {
				a, _ := pair(t)
				a.Index.Release(local)
				// The endpoint of peer i is an inner address of peer i+1.
				for i := range length {
					next := i + 1
					if closed {
						next %= length
					}
					a.addPeer(fmt.Sprintf("10.9.%d.2:7", next), uint32(100+i), netip.MustParsePrefix(fmt.Sprintf("10.9.%d.0/24", i)))
				}
				to := netip.MustParseAddr("10.9.0.1")
				a.send(start, frame(udpPacket(addrA, to, 100)))
				sent := a.pump(start)
				if loops := a.Drops.Count(DropLoop); closed && loops != 1 || !closed && loops != 0 {
					t.Errorf("%d packets were counted as a loop, closed is %v", loops, closed)
				}
				if limit := length * (length + 1) / 2 * 200; sent > limit {
					t.Errorf("%d bytes were sent, want at most %d", sent, limit)
				}
				if !closed {
					return
				}
				a.send(start.Add(nestedMemoryForTest/2), frame(udpPacket(addrA, to, 100)))
				if again := a.pump(start.Add(nestedMemoryForTest / 2)); again > 200 {
					t.Errorf("%d bytes were sent for the next packet", again)
				}
				// When the chain has been opened, packets are sent again.
				a.addPeer("203.0.113.5:7", 200, netip.MustParsePrefix(fmt.Sprintf("10.9.%d.0/24", length-1)))
				now := start.Add(2 * nestedMemoryForTest)
				before := a.Drops.Count(DropLoop)
				a.send(now, frame(udpPacket(addrA, to, 100)))
				if a.pump(now); a.Drops.Count(DropLoop) != before {
					t.Error("a chain that is now open was counted as a loop")
				}
			})
		}
	}
}

const nestedMemoryForTest = loopMemory // as long as package peer remembers

// A packet that looks like a datagram of a tunnel gets an outer TTL below its
// own, and so do fragments, which may belong to one; other packets do not. When
// the TTL runs out, the packet counts as a loop (A46).
func TestTTLOfTunnelsInTunnels(t *testing.T) {
	a, _ := pair(t)
	msg := append([]byte{4, 0, 0, 0}, pattern(96)...)
	for _, to := range []netip.Addr{addrB, addrB6} {
		offset := 8
		if to.Is6() {
			offset = 7
		}
		nested := inside(netip.AddrPortFrom(to, 9), msg)
		plain := inside(netip.AddrPortFrom(to, 9), pattern(100))
		for _, c := range []struct {
			p           []byte
			inner, want byte
			loop        bool
		}{
			{nested, 64, 59, false},
			{nested, 59, 54, false},
			{nested, 6, 1, false},
			{nested, 5, 0, true},
			{nested, 1, 0, true},
			{nested, 70, 0, false},
			{nested, 255, 0, false},
			{plain, 64, 0, false},
			{plain, 1, 0, false},
		} {
			p := bytes.Clone(c.p)
			p[offset] = c.inner
			before := a.Drops.Count(DropLoop)
			a.send(start, frame(p))
			trains := a.udp.take()
			loop := a.Drops.Count(DropLoop) > before
			if loop != c.loop || loop == (len(trains) > 0) || !loop && trains[0].TTL != c.want {
				t.Errorf("inner TTL %d: %+v, counted as a loop: %v", c.inner, trains, loop)
			}
		}
	}
	a.send(start.Add(loopMemory), frame(first(inside(netip.AddrPortFrom(addrB, 9), pattern(100)), 3)))
	if trains := a.udp.take(); trains[0].TTL != 54 {
		t.Errorf("a first fragment: TTL %d, want 54", trains[0].TTL)
	}
}

// Fragments are dropped while there is a loop; without one, fragments with the
// same small TTL pass (traceroute).
func TestTTLOfFragmentsRunsOut(t *testing.T) {
	a, _ := pair(t)
	plain := later(udpPacket(addrA, addrB, 100), 5)
	plain[8] = 3
	if a.sent(start, plain) != 1 {
		t.Error("a fragment was dropped although there is no loop")
	}
	nested := inside(netip.AddrPortFrom(addrB, 9), append([]byte{4, 0, 0, 0}, pattern(96)...))
	nested[8] = 3
	if a.sent(start, nested, plain) != 0 {
		t.Error("a packet or fragment of a loop was sent")
	}
	if a.sent(start.Add(loopMemory), plain) != 1 {
		t.Error("a fragment long after a loop was dropped")
	}
}

// Trains do not mix TTLs, and a loop in a batch does not stop the other packets.
func TestTTLOfTrains(t *testing.T) {
	packets := func() (frames [][]byte) {
		for i := range 8 {
			payload := pattern(100)
			if i >= 4 {
				copy(payload, []byte{4, 0, 0, 0})
			}
			frames = append(frames, frame(inside(netip.AddrPortFrom(addrB, 9), payload)))
		}
		return frames
	}
	check := func(trains []batch.Batch) {
		t.Helper()
		if len(trains) != 2 || trains[0].TTL != 0 || trains[1].TTL != 59 || trains[0].Count() != 4 || trains[1].Count() != 4 {
			t.Errorf("%d trains, want 2 of 4, with the TTLs 0 and 59: %+v", len(trains), trains)
		}
	}
	a, _ := pair(t)
	a.send(start, packets()...)
	check(a.udp.take())
	for range 2 { // earlier contents of the job have no effect
		if !a.enc.Prepare(a.sealing, start, packets()) {
			t.Fatal("the job is not complete")
		}
		a.sealing.Seal()
		a.enc.Send(a.sealing)
		check(a.udp.take())
	}
	expired := append(packets(), packets()[7])
	expired[7][packet.VirtioHeaderSize+8] = 2
	if !a.enc.Prepare(a.sealing, start, expired) {
		t.Error("a batch with a loop in it is not complete")
	}
	a.sealing.Seal()
	a.enc.Send(a.sealing)
	check(a.udp.take())
	a.wantDrops(map[Drop]uint64{DropLoop: 1})
}
