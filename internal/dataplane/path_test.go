package dataplane

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/wire"
)

// knownPath returns two ends. A's endpoint of B is the given one, and the MTU of the path
// there is known to be 1280. The MTU of the interfaces is 1500.
func knownPath(t *testing.T, endpoint string) (a, b *side) {
	a, b = pair(t)
	a.MTU.Store(1500)
	b.MTU.Store(1500)
	a.peer.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort(endpoint), netip.Addr{}, 0))
	a.peer.Location().SetPathMTU(start, 1280, false)
	return a, b
}

// A packet that the path carries in fragments only is sent all the same. Its sender gets
// "packet too big", unless it lets routers fragment, or is one of IPv6 and the packet is no
// longer than 1,280 bytes, which is also the smallest MTU that it is told. // A46
func TestAdviceAboutThePath(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		fit      int
	}{{"192.0.2.2:7", 1280 - 60}, {"[fd01::2]:7", 1280 - 80}} {
		for _, p := range []struct {
			name   string
			packet []byte
			mtu    int // in the answer; 0: there is none
		}{
			{"DF, fits", dontFragment(udpPacket(addrA, addrB, c.fit)), 0},
			{"DF, too long", dontFragment(udpPacket(addrA, addrB, c.fit+1)), c.fit},
			{"no DF, too long", udpPacket(addrA, addrB, 1400), 0},
			{"IPv6, 1280", udpPacket(addrA6, addrB6, 1280), 0},
			{"IPv6, 1281", udpPacket(addrA6, addrB6, 1281), 1280},
		} {
			a, b := knownPath(t, c.endpoint)
			a.send(start, frame(p.packet))
			if got := mtuTold(a); got != p.mtu {
				t.Errorf("%s to %s: the sender is told an MTU of %d, want %d", p.name, c.endpoint, got, p.mtu)
			}
			trains := a.udp.take()
			for i := range trains {
				trains[i].Remote = a.at
				if trains[i].DontFragment {
					t.Errorf("%s to %s: it must not be fragmented", p.name, c.endpoint)
				}
			}
			b.dec.Decapsulate(b.opening, start, trains)
			if got := len(b.tun.take()); got != 1 {
				t.Errorf("%s to %s: %d packets arrive", p.name, c.endpoint, got)
			}
			a.wantDrops(nil)
		}
	}
}

// dontFragment sets DF.
func dontFragment(p []byte) []byte {
	p[6] |= 0x40
	ipv4Checksum(p)
	return p
}

// mtuTold returns the MTU in the "packet too big" that s wrote to its interface; 0: none.
func mtuTold(s *side) int {
	s.t.Helper()
	frames := s.tun.take()
	if len(frames) == 0 {
		return 0
	}
	switch e := frames[0][packet.VirtioHeaderSize:]; {
	case len(frames) == 1 && e[0]>>4 == 4 && e[20] == 3 && e[21] == 4:
		return int(binary.BigEndian.Uint16(e[26:]))
	case len(frames) == 1 && e[0]>>4 == 6 && e[40] == 2:
		return int(binary.BigEndian.Uint32(e[44:]))
	}
	s.t.Fatalf("%d frames: % x", len(frames), frames)
	return 0
}

// Padding makes no packet too long for the path. // A45
func TestPaddingFitsThePath(t *testing.T) {
	const fit = 1280 - 60
	a, _ := knownPath(t, "192.0.2.2:7")
	for n, padded := range map[int]int{fit - 19: fit - 4, fit - 3: fit, fit: fit, fit + 1: fit + 1, 1400: 1400} {
		a.send(start, frame(udpPacket(addrA, addrB, n)))
		if got := len(a.udp.take()[0].Data) - overhead; got != padded {
			t.Errorf("a packet of %d bytes is padded to %d, want %d", n, got, padded)
		}
	}
}

// TCP connections agree on an MSS that fits the path without fragments, in both directions,
// also if the other end pads its packets to a multiple of 16. // A45
func TestMSSFitsThePath(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		from, to netip.Addr
		want     uint16
	}{
		{"192.0.2.2:7", addrA, addrB, 1216 - 40}, {"192.0.2.2:7", addrA6, addrB6, 1216 - 60},
		{"[fd01::2]:7", addrA, addrB, 1200 - 40}, {"[fd01::2]:7", addrA6, addrB6, 1200 - 60},
	} {
		a, b := knownPath(t, c.endpoint)
		b.KeepMSS.Store(true)
		a.send(start, frame(synPacket(c.from, c.to, 1460)))
		transfer(start, a, b)
		if got := b.offered(); got != int(c.want) {
			t.Errorf("to %s: B gets the MSS %d, want %d", c.endpoint, got, c.want)
		}
		b.send(start, frame(synPacket(c.to, c.from, 1460)))
		trains := b.udp.take()
		trains[0].Remote = a.peer.Endpoint()
		a.dec.Decapsulate(a.opening, start, trains)
		if got := a.offered(); got != int(c.want) {
			t.Errorf("to %s: A gets the MSS %d, want %d", c.endpoint, got, c.want)
		}
	}
}

// The MTU of the path is asked for when a datagram is sent that is longer than what every
// path carries, and when what is known is too old.
func TestPathMTUIsRequested(t *testing.T) {
	a, _ := pair(t)
	a.MTU.Store(1500)
	a.common.SetChanges(&peer.Changes{})
	a.peer.Location().SetRoute(&peer.Route{Found: true}, 0)
	requests := func() (n int) { n, a.notes.routes = a.notes.routes, 0; return n }
	longest := largeDatagram - overhead
	a.send(start, frame(udpPacket(addrA, addrB, longest-15)))
	if n := requests(); n != 0 {
		t.Errorf("%d requests after a small datagram", n)
	}
	a.send(start, frame(udpPacket(addrA, addrB, longest+1)), frame(udpPacket(addrA, addrB, 1400)))
	if n := requests(); n != 1 {
		t.Errorf("%d requests after a batch of large datagrams, want 1", n)
	}
	a.peer.Location().SetPathMTU(start, 1280, false)
	a.send(start, frame(udpPacket(addrA, addrB, 1400)))
	if n := requests(); n != 0 {
		t.Errorf("%d requests, but the answer is new", n)
	}
	a.peer.Location().SetPathMTU(start-1e12, 1280, false)
	a.send(start, frame(udpPacket(addrA, addrB, 100)))
	if n := requests(); n != 1 {
		t.Errorf("%d requests after the answer has become old, want 1", n)
	}
}
