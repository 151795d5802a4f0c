package dataplane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/internal/aead"
	"wgd/internal/batch"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// seal returns a data message from k that contains p, as a train of one.
func seal(k *session.Keypair, from wire.Endpoint, ecn byte, p []byte) batch.Batch {
	msg := make([]byte, wire.MinDataSize+len(p))
	copy(msg[wire.DataHeaderSize:], p)
	first, ok := k.Reserve(1)
	if !ok || !k.Seal(msg, []aead.Packet{{Len: int32(len(msg))}}, first) {
		panic("not sealed")
	}
	return batch.Batch{Data: msg, Stride: len(msg), Remote: from, ECN: ecn}
}

// copyOf returns a deep copy of b, because decryption works in place.
func copyOf(b batch.Batch) batch.Batch {
	b.Data = bytes.Clone(b.Data)
	return b
}

func (s *side) receive(bs ...batch.Batch) { s.dec.Decapsulate(s.opening, start, bs) }

// B24: the byte counts include the UDP payload of all messages, also keepalives;
// received messages count only if they are authentic and new.
func TestBytes(t *testing.T) {
	a, b := pair(t)
	a.send(start, tcpSuper(1, pattern(3000), 1000), frame(udpPacket(addrA, addrB, 64)))
	a.enc.Keepalive(a.sealing, start, a.peer)
	want := uint64(3*(1040+32) + 64 + 32 + 32)
	trains := a.udp.take()
	for i := range trains {
		again := copyOf(trains[i])
		forged := copyOf(trains[i])
		forged.Data[len(forged.Data)-1] ^= 1
		b.receive(forged)
		b.receive(trains[i])
		b.receive(again) // a replay
	}
	received, sent := a.peer.Bytes()
	if received != 0 || sent != want {
		t.Errorf("sender: received %d, sent %d, want %d", received, sent, want)
	}
	received, sent = b.peer.Bytes()
	if received != want || sent != 0 {
		t.Errorf("receiver: received %d, sent %d, want %d", received, sent, want)
	}
}

// A1, A2, A4, B1: datagrams of every size and type, alone and in trains, are
// counted and have no other effect.
func TestEverySize(t *testing.T) {
	a, _ := pair(t)
	before := a.peer.Endpoint()
	var received uint64
	receive := func(data []byte, stride int) {
		train := batch.Batch{Data: data, Stride: stride}
		received += uint64(train.Count())
		a.receive(train)
	}
	buf := pattern(batch.MaxDatagram6)
	for kind := range byte(6) {
		binary.LittleEndian.PutUint32(buf, uint32(kind))
		binary.LittleEndian.PutUint32(buf[4:], local)
		for size := 0; size <= len(buf); size++ {
			if size > 3000 && size < len(buf)-50 && size%101 != 0 {
				continue // all sizes would take long, with an AEAD operation each
			}
			binary.LittleEndian.PutUint64(buf[8:], uint64(size))
			data := buf[:size]
			if kind == 4 {
				data = bytes.Clone(data)
			}
			receive(data, size)
		}
	}
	for stride := 1; stride < 70; stride++ {
		for kind := range byte(6) {
			train := bytes.Repeat(append([]byte{kind, 0, 0, 0, 4, 3, 2, 1}, make([]byte, stride)...)[:stride], 65535/stride)
			receive(train, stride)
		}
	}
	if a.peer.Endpoint() != before || len(a.tun.frames) != 0 {
		t.Error("the endpoint changed or a frame was delivered")
	}
	// One of each type with its exact length, and the trains of cookie replies.
	if n := len(a.handshakes); n != 3+65535/wire.CookieReplySize {
		t.Errorf("%d handshake messages, want %d", n, 3+65535/wire.CookieReplySize)
	}
	dropped := uint64(0)
	for d := range drops {
		dropped += a.Drops.Count(d)
	}
	if dropped+uint64(len(a.handshakes)) != received {
		t.Errorf("of %d datagrams, %d were counted as dropped and %d were handshakes", received, dropped, len(a.handshakes))
	}
	if bytes, _ := a.peer.Bytes(); bytes != 0 || a.peer.LastReceived() != 0 {
		t.Error("received bytes or the time of receipt changed")
	}
	if a.Drops.Count(DropNotAMessage) == 0 || a.Drops.Count(DropForged) == 0 {
		t.Error("nothing was dropped as not-a-message or forged")
	}
}

// Handshake messages inside a train of data are separated, and the data is
// delivered.
func TestMixedTrain(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	size := wire.ResponseSize
	var data []byte
	for i := range 3 {
		if i == 1 {
			data = append(data, append([]byte{2, 0, 0, 0}, make([]byte, size-4)...)...)
		}
		data = append(data, seal(k, a.at, 0, udpPacket(addrA, addrB, size-32, byte(i))).Data...)
	}
	data = append(data, 1, 2, 3)
	b.receive(batch.Batch{Data: data, Stride: size, Remote: a.at})
	if len(b.handshakes) != 1 || len(b.handshakes[0]) != size || len(b.tun.take()) != 3 {
		t.Errorf("%d handshakes, want 1 of the right size, and 3 frames", len(b.handshakes))
	}
	b.wantDrops(map[Drop]uint64{DropNotAMessage: 1})
}

// A5: data without a session, forged data and replays are dropped.
func TestNotAccepted(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	good := seal(k, a.at, 0, udpPacket(addrA, addrB, 64))
	unknown := copyOf(good)
	unknown.Data[4]++
	forged := copyOf(good)
	forged.Data[40]++
	counter := copyOf(good)
	counter.Data[8]++
	again := copyOf(good)
	b.receive(unknown, forged, counter, good, again)
	b.wantDrops(map[Drop]uint64{DropNoSession: 1, DropForged: 2, DropReplay: 1}) // A38
	if len(b.tun.take()) != 1 {
		t.Error("the valid message did not arrive")
	}
	// The index of a handshake that has no keys yet.
	b.Index.Replace(local, nil)
	b.receive(seal(k, a.at, 0, udpPacket(addrA, addrB, 64)))
	b.wantDrops(map[Drop]uint64{DropNoSession: 2, DropForged: 2, DropReplay: 1})
}

// A36: from an age of 180 s on, a key receives nothing.
func TestOldKeyDoesNotReceive(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	b.dec.Decapsulate(b.opening, start.Add(session.RejectAfterTime-1), []batch.Batch{seal(k, a.at, 0, udpPacket(addrA, addrB, 64))})
	b.dec.Decapsulate(b.opening, start.Add(session.RejectAfterTime), []batch.Batch{seal(k, a.at, 0, udpPacket(addrA, addrB, 64))})
	if len(b.tun.take()) != 1 {
		t.Error("want exactly the first packet to arrive")
	}
	b.wantDrops(map[Drop]uint64{DropExpired: 1})
}

// A33, B44: data on the next session confirms it; a replay does not.
func TestConfirm(t *testing.T) {
	a, b := pair(t)
	kb := b.peer.Sessions().Current
	first := seal(a.peer.Sessions().Current, a.at, 0, nil)
	replay := copyOf(first)
	forged := copyOf(first)
	forged.Data[20]++
	b.receive(first)
	if _, confirms, _ := b.notes.take(); confirms != 0 {
		t.Error("the current session was confirmed")
	}
	b.peer.SetSessions(&peer.Sessions{Next: kb})
	b.receive(replay, forged)
	if _, confirms, _ := b.notes.take(); confirms != 0 {
		t.Error("confirmed by a replay or a forgery")
	}
	a.send(start, tcpSuper(1, pattern(3000), 1000))
	transfer(start, a, b)
	if _, confirms, _ := b.notes.take(); confirms != 1 {
		t.Errorf("confirmed %d times, want once", confirms)
	}
	a.enc.Keepalive(a.sealing, start, a.peer) // a keepalive confirms it, too
	transfer(start, a, b)
	if _, confirms, _ := b.notes.take(); confirms != 1 {
		t.Errorf("confirmed %d times by a keepalive, want once", confirms)
	}
}

// A33: after a packet has confirmed the next session, answers are sent on it,
// even before core makes it the current one: the peer may have restarted and
// have no other session.
func TestAnswersOnTheConfirmedSession(t *testing.T) {
	a, b := pair(t)
	old := session.New(new([32]byte), new([32]byte), 98, 99, false, start)
	next := b.peer.Sessions().Current
	b.peer.SetSessions(&peer.Sessions{Current: old, Next: next})
	b.send(start, frame(udpPacket(addrB, addrA, 100)))
	if got := b.udp.take(); len(got) != 1 || wire.DataIndex(got[0].Data) != old.Remote {
		t.Fatalf("before the confirmation: %d trains, want one on the old session", len(got))
	}
	a.send(start, frame(udpPacket(addrA, addrB, 100)))
	transfer(start, a, b)
	b.send(start, frame(udpPacket(addrB, addrA, 100)))
	if got := b.udp.take(); len(got) != 1 || wire.DataIndex(got[0].Data) != next.Remote {
		t.Errorf("after the confirmation: %d trains, want one on the next session", len(got))
	}
}

// A51, B13: only authentic, new data updates the endpoint and the source
// (A7, A8, B12).
func TestRoaming(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	from := func(n byte) wire.Endpoint {
		return wire.NewEndpoint(netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, n}), uint16(n)), netip.MustParseAddr("192.0.2.2"), uint32(n))
	}
	p := udpPacket(addrA, addrB, 64)
	one, two := seal(k, from(1), 0, p), seal(k, from(2), 0, p)
	replay := copyOf(one)
	replay.Remote = from(3)
	forged := seal(k, from(4), 0, p)
	forged.Data[30]++
	cookie := batch.Batch{Data: append([]byte{3}, make([]byte, 63)...), Stride: 64, Remote: from(5)}
	b.receive(one, two, replay, forged, cookie) // the last valid one of a read wins
	if at := b.peer.Location().Received(); at != from(2) {
		t.Errorf("the endpoint is %+v", at)
	}
	b.notes.take()
	b.receive(seal(k, from(6), 0, nil), seal(k, from(6), 0, nil)) // a keepalive also updates it
	b.receive(seal(k, from(6), 0, nil))
	if _, _, wakes := b.notes.take(); wakes != 1 {
		t.Errorf("the machine was woken %d times for one new endpoint, want 1", wakes)
	}
	if at := b.peer.Location().Received(); at != from(6) {
		t.Errorf("the endpoint is %+v", at)
	}
	b.receive(seal(k, from(7), 0, []byte("no IP packet"))) // authentic nevertheless
	if at := b.peer.Location().Received(); at != from(7) {
		t.Errorf("the endpoint is %+v", at)
	}
	b.send(start, frame(udpPacket(addrB, addrA, 64)))
	if to := from(7); b.udp.trains[0].Remote != wire.NewEndpoint(to.Remote, to.Source, 0) {
		t.Error("the answer was sent to another endpoint")
	}
	// A54: a link-local endpoint keeps its scope.
	scoped := wire.NewEndpoint(netip.MustParseAddrPort("[fe80::1%eth7]:9"), netip.Addr{}, 0)
	b.receive(seal(k, scoped, 0, p))
	if b.peer.Endpoint().Remote.Addr().Zone() != "eth7" {
		t.Errorf("the endpoint is %+v, want the zone eth7", b.peer.Endpoint())
	}
}

// A47: an inner packet is trimmed to its length; anything but an IP packet is
// dropped and counted.
func TestInnerLength(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	p := udpPacket(addrA, addrB, 61)
	b.receive(seal(k, a.at, 0, append(bytes.Clone(p), 0, 0, 0)))
	if got := b.tun.take(); len(got) != 1 || !bytes.Equal(got[0], frame(p)) {
		t.Errorf("got %x, want the trimmed packet", got)
	}
	short, version, under := bytes.Clone(p), bytes.Clone(p), bytes.Clone(p)
	short[3]++
	version[0] = 0x55
	under[2], under[3] = 0, 19
	b.receive(seal(k, a.at, 0, short), seal(k, a.at, 0, version), seal(k, a.at, 0, under),
		seal(k, a.at, 0, []byte{0x45}), seal(k, a.at, 0, make([]byte, 64)))
	if len(b.tun.take()) != 0 {
		t.Error("an invalid inner packet was delivered")
	}
	b.wantDrops(map[Drop]uint64{DropInnerPacket: 5})
}

// A49, B2: for any table, a packet arrives only if a linear search for the
// longest prefix of its source finds the peer that sent it.
func TestInnerSource(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 30 {
		a, b := pair(t)
		stranger := peer.New(peer.NewCommon(testTiming()))
		b.routes.Store(nil)
		b.routes.Store(b.routes.Load().Edit().Table())
		type rule struct {
			prefix netip.Prefix
			p      *peer.Peer
		}
		var rules []rule
		for range rng.IntN(12) {
			addr := netip.AddrFrom4([4]byte{10, byte(rng.IntN(2)), byte(rng.IntN(2)), byte(rng.IntN(4))})
			r := rule{netip.PrefixFrom(addr, rng.IntN(33)).Masked(), b.peer}
			if rng.IntN(2) == 0 {
				r.p = stranger
			}
			rules = append(rules, r)
			b.route(r.p, r.prefix)
		}
		for range 60 {
			from := netip.AddrFrom4([4]byte{10, byte(rng.IntN(2)), byte(rng.IntN(2)), byte(rng.IntN(4))})
			var holder *peer.Peer
			longest := -1
			for _, r := range rules { // the last of equal prefixes wins
				if r.prefix.Contains(from) && r.prefix.Bits() >= longest {
					longest, holder = r.prefix.Bits(), r.p
				}
			}
			b.receive(seal(a.peer.Sessions().Current, a.at, 0, udpPacket(from, addrB, 64)))
			if arrived := len(b.tun.take()) == 1; arrived != (holder == b.peer) {
				t.Fatalf("round %d: from %v: arrived is %v, want the opposite", round, from, arrived)
			}
		}
	}
}

// A48, A49: an inner IPv6 packet with an IPv4-mapped address is an IPv6 packet:
// the IPv6 prefixes apply, in both directions, alone or in a train.
func TestMappedInnerAddresses(t *testing.T) {
	mapped := func(a netip.Addr) netip.Addr { return netip.AddrFrom16(a.As16()) }
	for name, c := range map[string]struct {
		prefix  string
		arrives bool
	}{
		"mapped prefix": {"::ffff:0:0/96", true}, "every IPv6 address": {"::/0", true},
		"every IPv4 address": {"0.0.0.0/0", false}, "the same IPv4 address": {addrA.String() + "/32", false},
	} {
		a, b := pair(t)
		a.routes.Store(nil)
		b.routes.Store(nil)
		a.route(a.peer, netip.MustParsePrefix(c.prefix), netip.PrefixFrom(addrB, 32))
		b.route(b.peer, netip.MustParsePrefix(c.prefix))
		to, from := udpPacket(addrA6, mapped(addrB), 96), udpPacket(mapped(addrA), addrB6, 96)

		a.send(start, frame(to), frame(to), frame(to))
		if sent := len(a.udp.take()) > 0; sent != (strings.HasPrefix(c.prefix, "::")) {
			t.Errorf("%s: to a mapped address: sent is %v", name, sent)
		}
		k := a.peer.Sessions().Current
		b.receive(seal(k, a.at, 0, from), seal(k, a.at, 0, from), seal(k, a.at, 0, from))
		if arrived := len(b.tun.take()) > 0; arrived != c.arrives {
			t.Errorf("%s: from a mapped address: arrived is %v", name, arrived)
		}
		b.receive(seal(k, a.at, 0, udpPacket(addrA, addrB, 96))) // the IPv4 address, after the mapped one
		if arrived := len(b.tun.take()) > 0; arrived == c.arrives {
			t.Errorf("%s: from the IPv4 address: arrived is %v", name, arrived)
		}
	}
}

// A49, B2: a peer with ::/0 must not send from the mapped form of an IPv4 address
// that belongs to another peer.
func TestMappedSourceOfAnother(t *testing.T) {
	a, b := pair(t)
	b.routes.Store(nil)
	b.route(b.peer, netip.MustParsePrefix("::/0"))
	b.route(peer.New(b.common), netip.MustParsePrefix("10.0.0.0/24"))
	k := a.peer.Sessions().Current
	for i, from := range []string{"::ffff:10.0.0.9", "::ffff:10.0.0.9", "::ffff:10.0.1.9", "fd00::9", "::ffff:10.0.0.9"} {
		b.receive(seal(k, a.at, 0, udpPacket(netip.MustParseAddr(from), addrB6, 96)))
		if arrived := len(b.tun.take()) == 1; arrived == (from == "::ffff:10.0.0.9") {
			t.Errorf("%d: from %s: arrived is %v, want the opposite", i, from, arrived)
		}
	}
	b.wantDrops(map[Drop]uint64{DropSource: 3})
	// The peer keeps the last source that was refused.
	r, ok := b.peer.RefusedSource()
	if p := b.Shared.Spoofing.Take(); p != b.peer {
		t.Errorf("the peer is %p, want %p", p, b.peer)
	}
	if want := netip.MustParseAddr("::ffff:10.0.0.9"); !ok || r.Address != want || r.Count != 3 || r.First == 0 {
		t.Errorf("recorded: %+v, %v, want %s, 3 times", r, ok, want)
	}
}

// A56: congestion marks are copied to the inner packet. If it does not use ECN,
// it is delivered unchanged and counted; nothing is dropped.
func TestECNOnReceipt(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	for inner := range byte(4) {
		for outer := range byte(4) {
			for _, v6 := range []bool{false, true} {
				p := udpPacket(addrA, addrB, 64)
				if v6 {
					p = udpPacket(addrA6, addrB6, 64)
				}
				packet.SetECN(p, inner)
				b.receive(seal(k, a.at, outer, p))
				got := b.tun.take()
				want, _ := packet.CombineECN(inner, outer)
				packet.SetECN(p, want)
				if len(got) != 1 || !bytes.Equal(got[0], frame(p)) {
					t.Errorf("inner %d, outer %d: got %x, want %x", inner, outer, got, frame(p))
				}
			}
		}
	}
	b.wantDrops(nil)
	b.wantCounters(map[Counter]uint64{CountECNUnmarked: 2})
}

// Frames that the interface refuses are counted as dropped packets.
func TestInterfaceDown(t *testing.T) {
	a, b := pair(t)
	b.tun.err = errors.New("the interface is down")
	a.send(start, tcpSuper(1, pattern(5000), 1000), frame(udpPacket(addrA, addrB, 64)))
	transfer(start, a, b)
	b.wantDrops(map[Drop]uint64{DropInterface: 6})
	if b.peer.LastReceived() != start {
		t.Error("the time of receipt was not updated")
	}
}

// §6.2, B32: the initiator requests a new session when it receives on a key that
// is 165 s old.
func TestRekeyOnReceive(t *testing.T) {
	a, b := pair(t)
	ka, kb := a.peer.Sessions().Current, b.peer.Sessions().Current
	wants := func(s *side, other *session.Keypair, age time.Duration) int {
		s.dec.Decapsulate(s.opening, start.Add(age), []batch.Batch{
			seal(other, wire.Endpoint{}, 0, nil), seal(other, wire.Endpoint{}, 0, nil)})
		n, _, _ := s.notes.take()
		return n
	}
	if wants(a, kb, 165*time.Second-1) != 0 {
		t.Error("a new session was requested too early")
	}
	if wants(a, kb, 165*time.Second) != 1 {
		t.Error("no new session was requested at 165 s")
	}
	if wants(b, ka, 179*time.Second) != 0 {
		t.Error("the responder requested a new session")
	}
	// Not on the previous session, when there is a new one.
	fresh, _ := keypairs(start.Add(170 * time.Second))
	a.peer.SetSessions(&peer.Sessions{Previous: ka, Current: fresh})
	if wants(a, kb, 175*time.Second) != 0 {
		t.Error("requested although there is a new session")
	}
}

// Received data needs an answer, and core is woken once.
func TestWakeOnReceive(t *testing.T) {
	a, b := pair(t)
	for range 3 {
		a.send(start, frame(udpPacket(addrA, addrB, 64)))
		transfer(start, a, b)
	}
	if _, _, wakes := b.notes.take(); wakes != 1 {
		t.Errorf("core was woken %d times, want once", wakes)
	}
	if b.peer.Unreplied() == 0 {
		t.Error("no answer is due for received data")
	}
}
