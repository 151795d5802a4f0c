package dataplane

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// Every packet arrives as it was sent, whatever its length (B48).
func TestRoundTrip(t *testing.T) {
	for _, mtu := range []int{576, 1280, 1420, 9000, 65535} {
		a, b := pair(t)
		a.MTU.Store(int32(mtu))
		for _, size := range []int{28, 29, 48, 64, 575, 576, 1279, 1280, 1419, 1420, 9000, 65475} {
			for _, v6 := range []bool{false, true} {
				p := udpPacket(addrA, addrB, size, pattern(size-28)...)
				if v6 {
					if size < 48 {
						continue
					}
					p = udpPacket(addrA6, addrB6, size, pattern(size-48)...)
				}
				a.send(start, frame(p))
				transfer(start, a, b)
				if got := b.tun.take(); len(got) != 1 || !bytes.Equal(got[0], frame(p)) {
					t.Fatalf("MTU %d, %d bytes, IPv6 %v: %d frames", mtu, size, v6, len(got))
				}
			}
		}
		a.wantDrops(nil)
		b.wantDrops(nil)
	}
}

// A45, B14, B53: packets are padded with zeros to a multiple of 16, but not
// beyond the MTU; an MTU of 0 or 1 does no harm.
func TestPadding(t *testing.T) {
	for _, mtu := range []int{0, 1, 15, 16, 576, 1280, 1299, 1420, 9000, 65535} {
		a, b := pair(t)
		a.MTU.Store(int32(mtu))
		for _, size := range []int{28, 31, 32, 33, 1279, 1280, 1289, 1295, 1299, 1300, 1411, 1420, 1421, 65470, 65475} {
			want := (size + 15) / 16 * 16
			if mtu > 0 {
				want = min(want, mtu)
			}
			want = max(size, min(want, 65475))
			// Earlier contents of the buffer must not appear in the padding.
			for i := range a.sealing.buf {
				a.sealing.buf[i] = 0xee
			}
			a.send(start, frame(udpPacket(addrA, addrB, size)))
			trains := a.udp.take()
			if len(trains) != 1 || len(trains[0].Data) != want+32 {
				t.Fatalf("MTU %d, %d bytes: %d on the wire, want %d", mtu, size, len(trains[0].Data), want+32)
			}
			b.dec.Decapsulate(b.opening, start, trains) // in place
			if rest := trains[0].Data[16+size : 16+want]; !bytes.Equal(rest, make([]byte, len(rest))) {
				t.Fatalf("MTU %d, %d bytes: the padding is %x, want zeros", mtu, size, rest)
			}
		}
		b.wantDrops(nil)
	}
}

// A super-packet is one send of equal datagrams, and one write at the other end.
func TestSuperPacket(t *testing.T) {
	a, b := pair(t)
	f := tcpSuper(100, pattern(61000), 1372)
	a.send(start, f)
	trains := a.udp.take()
	if len(trains) != 1 || trains[0].Stride != 1420+32 || trains[0].Count() != 45 {
		t.Fatalf("%d trains, %d datagrams of %d bytes, want 1, 45 and 1452", len(trains), trains[0].Count(), trains[0].Stride)
	}
	if trains[0].Remote != b.at || trains[0].TOS != 0 || trains[0].ECN != 0 {
		t.Errorf("the train is to %+v, want %+v without TOS and ECN", trains[0].Remote, b.at)
	}
	for i := range trains[0].Count() { // A37: each counter once, in order
		msg := trains[0].At(i)
		if wire.DataCounter(msg) != uint64(i) || wire.DataIndex(msg) != local {
			t.Fatalf("datagram %d: counter %d, index %x, want counter %d, index %x", i, wire.DataCounter(msg), wire.DataIndex(msg), i, local)
		}
	}
	b.dec.Decapsulate(b.opening, start, trains)
	if got := b.tun.take(); len(got) != 1 || !bytes.Equal(got[0], f) {
		t.Fatalf("%d frames, want one equal to the frame sent", len(got))
	}
	// A super-packet with many small segments exceeds the buffer: no loss.
	a.send(start, tcpSuper(100, pattern(65400), 50))
	transfer(start, a, b)
	n := 0
	for _, f := range b.tun.take() {
		var s packet.Segments
		s.Reset(f)
		n += s.Remaining()
	}
	if n != 1308 {
		t.Errorf("%d packets arrived, want 1308", n)
	}
	a.wantDrops(nil)
	b.wantDrops(nil)
}

// Small packets of one peer form a train as long as their lengths allow; another
// ECN value (A56) or another peer starts a new one. The order is kept (A43, B47).
func TestTrains(t *testing.T) {
	a, b := pair(t)
	other := peer.New(peer.NewCommon(testTiming()))
	k, _ := keypairs(start)
	other.SetSessions(&peer.Sessions{Current: k})
	other.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort("[2001:db8::3]:3"), netip.Addr{}, 0))
	a.route(other, netip.MustParsePrefix("10.9.0.0/16"))
	ce := func(p []byte) []byte { p[1] |= packet.CE; ipv4Checksum(p); return p }
	far := netip.MustParseAddr("10.9.1.1")
	a.send(start,
		frame(udpPacket(addrA, addrB, 64, 0)),
		frame(udpPacket(addrA, addrB, 64, 1)),
		frame(udpPacket(addrA, addrB, 30, 2)), // shorter: the last of its train
		frame(udpPacket(addrA, addrB, 30, 3)),
		frame(udpPacket(addrA, addrB, 64, 4)), // longer: starts a new train
		frame(ce(udpPacket(addrA, addrB, 64, 5))),
		frame(udpPacket(addrA, far, 64, 6)),
		frame(udpPacket(addrA, addrB, 64, 7)),
	)
	type shape struct {
		count, stride int
		ecn           byte
		port          uint16
	}
	var got []shape
	for _, b := range a.udp.trains {
		got = append(got, shape{b.Count(), b.Stride, b.ECN, b.Remote.Remote.Port()})
	}
	want := []shape{{3, 96, 0, 51821}, {1, 64, 0, 51821}, {1, 96, 0, 51821}, {1, 96, 3, 51821}, {1, 96, 0, 3}, {1, 96, 0, 51821}}
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("train %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	transfer(start, a, b)
	var order []byte
	for _, f := range b.tun.take() {
		order = append(order, f[len(f)-1])
	}
	if !bytes.Equal(order, []byte{0, 1, 2, 3, 4, 5, 7}) {
		t.Errorf("the packets arrived in the order %v", order)
	}
}

// A42, A43, B39: without a session, packets are staged; when the queue is full,
// the oldest are dropped. Staged packets are sent in order, before later ones.
func TestStaging(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	a.peer.SetSessions(&peer.Sessions{})
	var frames [][]byte
	for i := range 140 {
		frames = append(frames, frame(udpPacket(addrA, addrB, 64, byte(i))))
	}
	a.send(start, frames[:130]...)
	if wants, _, _ := a.notes.take(); wants != 1 {
		t.Errorf("Want posted %d times for one batch, want once", wants)
	}
	if len(a.udp.trains) != 0 || a.enc.Flush(a.sealing, start, a.peer) {
		t.Fatal("sent without a session")
	}
	a.wantDrops(map[Drop]uint64{DropStaged: 2})
	if !a.peer.Endpoint().IsValid() || !a.peer.HasStaged() {
		t.Fatal("the endpoint was lost, or nothing was staged")
	}
	a.current(k)
	a.send(start, frames[130:]...) // sends the staged packets first
	transfer(start, a, b)
	got := b.tun.take()
	for i, f := range got {
		if f[len(f)-1] != byte(i+2) {
			t.Fatalf("packet %d is %d, want %d", i, f[len(f)-1], i+2)
		}
	}
	if len(got) != 138 || a.peer.HasStaged() {
		t.Errorf("%d packets arrived, want 138 and none left staged", len(got))
	}
}

func TestFlush(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	a.peer.SetSessions(&peer.Sessions{})
	super := tcpSuper(1, pattern(5000), 1000)
	a.send(start, super, frame(udpPacket(addrA, addrB, 64)))
	if n := a.peer.Purge(); n != 6 { // in packets on the wire (A42)
		t.Errorf("%d staged, want 6", n)
	}
	a.send(start, super, frame(udpPacket(addrA, addrB, 64)))
	a.peer.SetSessions(&peer.Sessions{Next: k}) // A33: not used to send
	if a.enc.Flush(a.sealing, start, a.peer) {
		t.Error("sent on a session that is not confirmed")
	}
	a.current(k)
	if !a.enc.Flush(a.sealing, start, a.peer) || a.enc.Flush(a.sealing, start, a.peer) {
		t.Error("want exactly one flush to send")
	}
	transfer(start, a, b)
	if got := b.tun.take(); len(got) != 2 || !bytes.Equal(got[0], super) {
		t.Errorf("%d frames, want the super-packet and one packet", len(got))
	}
}

// If core publishes a session after Encapsulate has looked for one, but before it
// stages the packets, Encapsulate must send them: no one else would.
func TestStagedWhilePublished(t *testing.T) {
	for n := 1; n <= 2; n++ {
		a, b := pair(t)
		k := a.peer.Sessions().Current
		a.peer.SetSessions(&peer.Sessions{})
		a.notes.onWant = func() { a.current(k) }
		a.send(start, small(n)...)
		transfer(start, a, b)
		got := b.tun.take()
		if len(got) != n || got[0][73] != 0 || got[n-1][73] != byte(n-1) || a.peer.HasStaged() {
			t.Errorf("%d frames arrived, want %d in order", len(got), n)
		}
	}
}

// A48: the sender of an undeliverable packet gets an ICMP error.
func TestUnreachable(t *testing.T) {
	a, _ := pair(t)
	nowhere := netip.MustParseAddr("10.66.0.1")
	p := udpPacket(addrA, nowhere, 64)
	a.send(start, frame(p))
	got := a.tun.take()
	if len(got) != 1 || got[0][10+20] != 3 || got[0][10+21] != 1 || packet.Source(got[0][10:]) != nowhere ||
		packet.Destination(got[0][10:]) != addrA {
		t.Fatalf("got %x, want one IPv4 \"host unreachable\"", got)
	}
	a.route(peer.New(a.common), netip.PrefixFrom(addrB6, 128))
	a.send(start, frame(udpPacket(addrA6, addrB6, 64)))
	got = a.tun.take()
	if len(got) != 1 || got[0][10+40] != 1 || got[0][10+41] != 3 || packet.Source(got[0][10:]) != addrB6 {
		t.Fatalf("got %x, want one IPv6 \"address unreachable\"", got)
	}
	// No error for anything but IP.
	a.send(start, frame([]byte("hello")), frame(make([]byte, 100)), nil, make([]byte, 9))
	// Nor for a super-packet with inconsistent headers.
	bad := tcpSuper(1, pattern(3000), 1000)
	bad[4], bad[5] = 0, 0
	a.send(start, bad)
	a.wantDrops(map[Drop]uint64{DropNoPeer: 1, DropNoEndpoint: 1, DropNotIP: 4, DropMalformed: 1})
	// Nor for multicast, but it is counted.
	a.send(start, frame(udpPacket(addrA, netip.MustParseAddr("224.0.0.1"), 64)))
	if len(a.tun.take()) != 0 || len(a.udp.trains) != 0 {
		t.Error("an error or a datagram was sent for a multicast packet")
	}
	// Only destinations that no peer has are recorded.
	list := a.Unreached.AppendStatus(nil, clock.Now{Mono: start})
	if len(list) != 1 || list[0].Kind != conf.NoPeer || list[0].Address.Addr() != netip.MustParseAddr("10.66.0.1") || list[0].Count != 1 {
		t.Errorf("recorded: %+v", list)
	}
}

// A48: errors are limited by a token bucket.
func TestUnreachableIsLimited(t *testing.T) {
	a, _ := pair(t)
	f := frame(udpPacket(addrA, netip.MustParseAddr("10.66.0.1"), 64))
	for range 1000 {
		a.send(start, f)
	}
	if n := len(a.tun.take()); n != errorBurst {
		t.Errorf("%d errors at once, want %d", n, errorBurst)
	}
	for i := range 1000 {
		a.send(start.Add(time.Duration(i)*time.Millisecond), f)
	}
	if n := len(a.tun.take()); n < 99 || n > 100 {
		t.Errorf("%d errors in a second, want 99 or 100", n)
	}
	a.wantDrops(map[Drop]uint64{DropNoPeer: 2000})
}

// A46: a packet that is too long for a datagram gets "packet too big".
func TestTooBig(t *testing.T) {
	a, b := pair(t)
	a.MTU.Store(65535)
	for _, c := range []struct {
		at    string
		limit int
	}{{"192.0.2.2:1", 65475}, {"[2001:db8::2]:1", 65495}} {
		a.peer.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort(c.at), netip.Addr{}, 0))
		a.send(start, frame(udpPacket(addrA, addrB, c.limit)))
		trains := a.udp.trains
		if len(trains) != 1 || len(trains[0].Data) != c.limit+32 {
			t.Fatalf("%s: %d trains, want one of %d bytes", c.at, len(trains), c.limit+32)
		}
		transfer(start, a, b)
		if len(b.tun.take()) != 1 {
			t.Errorf("%s: %d bytes did not arrive", c.at, c.limit)
		}
		a.send(start, frame(udpPacket(addrA, addrB, c.limit+1)))
		got := a.tun.take()
		if len(a.udp.take()) != 0 || len(got) != 1 || got[0][10+20] != 3 || got[0][10+21] != 4 ||
			int(got[0][10+26])<<8|int(got[0][10+27]) != c.limit {
			t.Errorf("%s: %d bytes were sent, or not answered with the limit", c.at, c.limit+1)
		}
	}
	a.wantDrops(map[Drop]uint64{DropTooBig: 2})
}

// A36: from an age of 180 s on, a key sends nothing, and packets are staged.
func TestOldKeyDoesNotSend(t *testing.T) {
	a, _ := pair(t)
	f := frame(udpPacket(addrA, addrB, 64))
	a.send(start.Add(session.RejectAfterTime-1), f)
	if len(a.udp.take()) != 1 {
		t.Error("a key just under 180 s old was refused")
	}
	a.send(start.Add(session.RejectAfterTime), f)
	if len(a.udp.take()) != 0 || !a.peer.HasStaged() {
		t.Error("sent with a key that is 180 s old")
	}
	if a.enc.Keepalive(a.sealing, start.Add(session.RejectAfterTime), a.peer) {
		t.Error("keepalive sent with a key that is 180 s old")
	}
}

// A35: an erased session sends nothing.
func TestErasedSession(t *testing.T) {
	a, _ := pair(t)
	a.peer.Sessions().Current.Erase()
	a.send(start, frame(udpPacket(addrA, addrB, 64)))
	if len(a.udp.take()) != 0 || !a.peer.HasStaged() {
		t.Error("sent on an erased session")
	}
}

// §6.2: when sending requests a new session, and how often.
func TestRekeyOnSend(t *testing.T) {
	a, b := pair(t)
	fa, fb := frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrB, addrA, 64))
	wants := func(s *side, now clock.Time, f []byte) int {
		s.send(now, f, f, f)
		n, _, _ := s.notes.take()
		return n
	}
	if wants(a, start.Add(120*time.Second-1), fa) != 0 {
		t.Error("a new session was requested too early")
	}
	if wants(a, start.Add(120*time.Second), fa) != 1 {
		t.Error("no new session was requested at 120 s")
	}
	if wants(a, start.Add(120*time.Second+rekeyInterval-1), fa) != 0 {
		t.Error("a new session was requested again at once")
	}
	if wants(a, start.Add(120*time.Second+rekeyInterval), fa) != 1 {
		t.Error("a new session was not requested again")
	}
	if wants(b, start.Add(179*time.Second), fb) != 0 { // B32
		t.Error("the responder requested a new session")
	}
	timing := testTiming()
	timing.RekeyAfterMessages = 20
	b.common.SetTiming(timing)
	b.peer.Sessions().Current.Reserve(13) // 3 were sent above, 3 follow
	if wants(b, start.Add(179*time.Second), fb) != 0 {
		t.Error("a new session was requested before Rekey-After-Messages")
	}
	if wants(b, start.Add(179*time.Second), fb) != 1 {
		t.Error("no new session was requested after Rekey-After-Messages")
	}
}

// A40: a keepalive has 32 bytes, does not reach the interface and does not count
// as data.
func TestKeepalive(t *testing.T) {
	a, b := pair(t)
	if !a.enc.Keepalive(a.sealing, start, a.peer) {
		t.Fatal("the keepalive was not sent")
	}
	if len(a.udp.trains) != 1 || len(a.udp.trains[0].Data) != 32 {
		t.Fatalf("sent %+v, want one datagram of 32 bytes", a.udp.trains)
	}
	if a.peer.LastSent() != start || a.peer.Unanswered() != 0 {
		t.Error("want the time of sending set, and no answer expected")
	}
	transfer(start.Add(1), a, b)
	if len(b.tun.take()) != 0 {
		t.Error("a keepalive reached the interface")
	}
	if b.peer.LastReceived() != start.Add(1) || b.peer.Unreplied() != 0 {
		t.Error("want the time of receipt set, and no answer due") // B9
	}
	if received, _ := b.peer.Bytes(); received != 32 {
		t.Errorf("%d bytes received, want 32", received)
	}
	b.wantDrops(nil)

	a.peer.SetSessions(&peer.Sessions{})
	if a.enc.Keepalive(a.sealing, start, a.peer) {
		t.Error("sent without a session")
	}
	if wants, _, _ := a.notes.take(); wants != 1 {
		t.Errorf("a session was requested %d times, want once", wants)
	}
}

// If the socket fails, timers advance and the sent bytes do not.
func TestSendFails(t *testing.T) {
	a, _ := pair(t)
	f := frame(udpPacket(addrA, addrB, 64))
	a.udp.errs = []error{errors.New("no buffers")}
	a.send(start, f, f)
	a.wantDrops(map[Drop]uint64{DropSend: 2})
	if _, sent := a.peer.Bytes(); sent != 0 {
		t.Errorf("%d bytes were counted, but not sent", sent)
	}
	if a.peer.LastSent() != start || a.peer.Unanswered() == 0 { // A40, B46
		t.Error("the times of sending were not updated")
	}
	if _, _, wakes := a.notes.take(); wakes != 1 {
		t.Errorf("core was woken %d times, want once", wakes)
	}
	if a.sealing.end != (extent{}) || a.sealing.count != 0 { // B56
		t.Error("the job still holds packets after a failed send")
	}
}

// Packets that the line to a peer cannot take are counted as a backlog. A
// keepalive has the control class, so that it does not wait behind data.
func TestBacklog(t *testing.T) {
	a, _ := pair(t)
	f := frame(udpPacket(addrA, addrB, 64))
	a.udp.errs = []error{fmt.Errorf("socket: %w", batch.ErrBacklog), nil, nil}
	a.send(start, f, f)
	a.wantDrops(map[Drop]uint64{DropBacklog: 2})
	if a.peer.LastSent() != start || a.peer.Unanswered() == 0 { // A40, B46
		t.Error("the times of sending were not updated")
	}
	a.send(start, f)
	a.enc.Keepalive(a.sealing, start, a.peer)
	a.send(start, f)
	var classes []batch.Class
	for _, train := range a.udp.take() {
		classes = append(classes, train.Class)
	}
	if want := []batch.Class{batch.Data, batch.Control, batch.Data}; !slices.Equal(classes, want) {
		t.Errorf("data, keepalive, data have the classes %v, want %v", classes, want)
	}
}

// A52: packets that cannot be sent from another source either are dropped, and
// not counted as sent.
func TestSourceGoneAndNoOther(t *testing.T) {
	a, _ := pair(t)
	sticky := wire.NewEndpoint(a.peer.Endpoint().Remote, netip.MustParseAddr("192.0.2.1"), 4)
	a.peer.SetEndpoint(sticky)
	a.udp.errs = []error{errors.Join(batch.ErrSourceGone, errors.New("network is unreachable"))}
	a.send(start, frame(udpPacket(addrA, addrB, 64)))
	if a.peer.Endpoint() != sticky.Sourceless() {
		t.Errorf("the endpoint is %+v, want %+v", a.peer.Endpoint(), sticky.Sourceless())
	}
	if _, sent := a.peer.Bytes(); sent != 0 {
		t.Errorf("%d bytes sent, want 0", sent)
	}
	a.wantDrops(map[Drop]uint64{DropSend: 1})
}
