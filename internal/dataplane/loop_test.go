package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"wgd/internal/index"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// Our own datagrams that come back through the interface are not wrapped
// again (A46), and for a second neither are fragments to the same address.
func TestLoop(t *testing.T) {
	a, _ := pair(t)
	at := a.peer.Endpoint().Remote
	a.route(a.peer, netip.MustParsePrefix("0.0.0.0/0"))
	a.send(start, frame(udpPacket(addrA, addrB, 100)))
	own := outer(at, a.udp.take()[0].Data)
	fragment := udpPacket(addrA, at.Addr(), 100)
	fragment[7] = 10
	a.send(start, frame(fragment))
	if len(a.udp.take()) != 1 {
		t.Error("a fragment before any loop was dropped")
	}
	a.send(start, frame(own), frame(fragment))
	a.send(start.Add(loopMemory-1), frame(fragment))
	if len(a.udp.take()) != 0 {
		t.Error("our own datagram was wrapped")
	}
	a.wantDrops(map[Drop]uint64{DropLoop: 3})

	other := append([]byte(nil), own...)
	other[20]++
	elsewhere := append([]byte(nil), own...)
	elsewhere[23]++
	tcp := append([]byte(nil), own...)
	tcp[9] = 6
	a.send(start.Add(loopMemory), frame(fragment), frame(other), frame(elsewhere), frame(tcp))
	n := 0
	for _, b := range a.udp.take() {
		n += b.Count()
	}
	if n != 4 {
		t.Errorf("%d of 4 packets that are none of ours", n)
	}
}

// Each message that we send to a peer is known when it comes back (A46), and
// nothing else is taken for it: a host behind us, too, may have a tunnel to the
// same server from the same port.
func TestLoopKnowsItsOwn(t *testing.T) {
	a, _ := pair(t)
	at := a.peer.Endpoint().Remote
	a.route(a.peer, netip.MustParsePrefix("0.0.0.0/0"))
	stranger := peer.New(a.common)
	reserve := func(i uint32, p *peer.Peer) {
		b := binary.LittleEndian.AppendUint32(nil, i)
		if _, err := a.Index.Reserve(bytes.NewReader(b), &index.Entry{Peer: p}); err != nil {
			t.Fatal(err)
		}
	}
	reserve(7, a.peer)
	reserve(8, stranger)
	next, one := session.New(new([32]byte), new([32]byte), 3, 9, false, start), a.peer.Sessions().Current
	a.peer.SetSessions(&peer.Sessions{Current: one, Next: next, Previous: session.New(new([32]byte), new([32]byte), 4, 10, true, start)})
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
		{"data", message(wire.TypeData, 128, one.Remote), true},
		{"data on the next session", message(wire.TypeData, 128, 9), true},
		{"data on the previous session", message(wire.TypeData, 128, 10), true},
		{"data of somebody's", message(wire.TypeData, 128, one.Remote+1), false},
		{"our initiation", message(wire.TypeInitiation, wire.InitiationSize, 7), true},
		{"our response", message(wire.TypeResponse, wire.ResponseSize, 7), true},
		{"an initiation to another peer", message(wire.TypeInitiation, wire.InitiationSize, 8), false},
		{"somebody's initiation", message(wire.TypeInitiation, wire.InitiationSize, 11), false},
		{"a cookie reply", message(wire.TypeCookieReply, wire.CookieReplySize, 7), false},
		{"something else", pattern(100), false},
		{"nothing", nil, false},
	} {
		a.send(start, frame(outer(at, c.msg)))
		if sent := len(a.udp.take()) > 0; sent == c.ours {
			t.Errorf("%s: sent: %v", c.name, sent)
		}
	}
}

// outer is the packet in which a's host sends msg.
func outer(to netip.AddrPort, msg []byte) []byte {
	p := udpPacket(addrA, to.Addr(), 28+len(msg), msg...)
	binary.BigEndian.PutUint16(p[20:], 51820)
	binary.BigEndian.PutUint16(p[22:], to.Port())
	return p
}
