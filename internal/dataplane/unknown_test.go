package dataplane

import (
	"context"
	"net/netip"
	"testing"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/index"
	"wgd/internal/unknown"
	"wgd/internal/wire"
)

// wants returns the wants that wait for a subscriber.
func wants(s *unknown.Subscriber) (list []conf.Want) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		w, ok := s.Next(ctx)
		if !ok {
			return list
		}
		list = append(list, w)
	}
}

// Without a subscriber, a packet that no peer takes costs no memory.
func TestUnknownDestinationAllocatesNothing(t *testing.T) {
	a, _ := pair(t)
	a.Unknown = unknown.New()
	a.connect(&a.tun, &a.udp)
	f := frame(udpPacket(addrA, netip.MustParseAddr("10.9.9.9"), 64))
	frames := [][]byte{f}
	for range 2 * errorBurst { // until no ICMP error is written any more
		a.send(start, f)
	}
	if n := testing.AllocsPerRun(100, func() { a.enc.Encapsulate(a.sealing, start, frames) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	s := a.Unknown.Subscribe()
	drops := a.Drops.Count(DropNoPeer)
	a.send(start, f)
	if list := wants(s); len(list) != 1 || a.Drops.Count(DropNoPeer) != drops {
		t.Errorf("with one: %+v", list)
	}
	// The peer is added while the packet is on its way to be parked.
	a.enc.routed = func(to netip.Addr) bool {
		a.route(a.peer, netip.PrefixFrom(to, 32))
		return a.hasPeer(to)
	}
	a.send(start, f)
	if n := len(a.udp.take()); n != 1 || len(wants(s)) != 0 {
		t.Errorf("%d datagrams of one for a peer that is new", n)
	}
}

// Data whose index is nobody's is reported with each of its senders, also if several
// trains are read together. Forged and old data, and data for a handshake of ours that is
// not complete, are not reported: these indices are a peer's.
func TestUnknownSession(t *testing.T) {
	a, b := pair(t)
	b.Unknown = unknown.New()
	b.connect(&b.tun, &b.udp)
	a.send(start, frame(udpPacket(addrA, addrB, 64)))
	data := a.udp.take()[0]
	at := func(from string, index uint32) batch.Batch {
		d := copyOf(data)
		d.Remote = wire.NewEndpoint(netip.MustParseAddrPort(from), netip.Addr{}, 0)
		d.Data[4] = byte(index)
		return d
	}
	b.receive(at("192.0.2.9:1", 9))
	s := b.Unknown.Subscribe()
	b.reserve(0x01020308, &index.Entry{Peer: b.peer})
	forged := at("192.0.2.9:2", local&0xff)
	forged.Data[len(forged.Data)-1] ^= 1
	b.receive(forged, at("192.0.2.9:2", 8))
	if list := wants(s); len(list) != 0 {
		t.Errorf("reported without a reason: %+v", list)
	}
	one, two := at("192.0.2.9:3", 9), at("192.0.2.9:4", 9)
	buf := append(append([]byte{}, one.Data...), two.Data...)
	one.Buf, one.Off, one.Data = buf, 0, buf[:len(one.Data)]
	two.Buf, two.Off, two.Data = buf, len(one.Data), buf[len(one.Data):]
	b.receive(one, two, at("192.0.2.9:3", 10))
	got := wants(s)
	if len(got) != 2 || got[0].Endpoint != one.Remote.Remote || got[1].Endpoint != two.Remote.Remote || got[0].Kind != conf.UnknownSession {
		t.Errorf("got %+v", got)
	}
	b.wantDrops(map[Drop]uint64{DropNoSession: 5, DropForged: 1})
}
