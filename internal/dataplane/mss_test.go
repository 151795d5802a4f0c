package dataplane

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"wgd/internal/packet"
	"wgd/internal/peer"
)

// synPacket returns a SYN that offers a maximum segment size, without checksums.
func synPacket(from, to netip.Addr, mss uint16) []byte {
	at := 20
	if from.Is6() {
		at = 40
	}
	p := udpPacket(from, to, at+24)
	if from.Is4() {
		p[9] = 6
		ipv4Checksum(p)
	} else {
		p[6] = 6
	}
	t := p[at:]
	clear(t)
	t[12], t[13], t[20], t[21] = 6<<4, 2, 2, 4
	binary.BigEndian.PutUint16(t[22:], mss)
	return p
}

// offered returns the MSS in the last packet that was delivered to the interface of s.
func (s *side) offered() int {
	s.t.Helper()
	frames := s.tun.take()
	if len(frames) != 1 {
		s.t.Fatalf("%d packets arrived, want 1", len(frames))
	}
	p := frames[0]
	return int(binary.BigEndian.Uint16(p[len(p)-2:]))
}

// The MSS of TCP connections through the tunnel is reduced to what the MTU of either end
// carries, for both families, unless that is turned off.
func TestMSSClamp(t *testing.T) {
	for _, c := range []struct {
		from, to netip.Addr
		headers  int
	}{{addrA, addrB, 40}, {addrA6, addrB6, 60}} {
		for _, m := range []struct {
			a, b  int // MTUs
			keepA bool
			keepB bool
			want  int // of packets
		}{
			{1420, 1420, false, false, 1420}, {1400, 1420, false, false, 1400}, {1420, 1400, false, false, 1400},
			{1400, 1420, true, false, 1420}, {1420, 1400, false, true, 1420}, {1400, 1400, true, true, 9000},
			{0, 1300, false, false, 1300}, {0, 0, false, false, 9000}, {9000, 65535, false, false, 9000},
		} {
			a, b := pair(t)
			a.MTU.Store(int32(m.a))
			b.MTU.Store(int32(m.b))
			a.KeepMSS.Store(m.keepA)
			b.KeepMSS.Store(m.keepB)
			a.send(start, frame(synPacket(c.from, c.to, uint16(9000-c.headers))))
			transfer(start, a, b)
			if got := b.offered(); got != m.want-c.headers {
				t.Errorf("%+v: the MSS from %v is %d, want %d", m, c.from, got, m.want-c.headers)
			}
		}
	}
}

// The MSS in a packet that waits for a session is reduced when it is sent.
func TestMSSClampOfStaged(t *testing.T) {
	a, b := pair(t)
	key := a.peer.Sessions().Current
	a.peer.SetSessions(&peer.Sessions{})
	a.send(start, frame(synPacket(addrA, addrB, 1460)))
	a.current(key)
	a.enc.Flush(a.sealing, start, a.peer)
	b.KeepMSS.Store(true)
	transfer(start, a, b)
	if got := b.offered(); got != 1380 {
		t.Errorf("the MSS is %d, want 1380", got)
	}
}

// A SYN within a batch of other packets is found, in both directions.
func TestMSSClampAmongOthers(t *testing.T) {
	for _, clampedBy := range []string{"sender", "receiver"} {
		a, b := pair(t)
		a.KeepMSS.Store(clampedBy != "sender")
		b.KeepMSS.Store(clampedBy != "receiver")
		frames := small(5)
		frames = append(frames, frame(synPacket(addrA, addrB, 1460)))
		frames = append(frames, small(5)...)
		a.send(start, frames...)
		transfer(start, a, b)
		found := 0
		for _, f := range b.tun.take() {
			if p := f[packet.VirtioHeaderSize:]; p[9] == 6 {
				found++
				if got := binary.BigEndian.Uint16(p[len(p)-2:]); got != 1380 {
					t.Errorf("clamped by the %s: the MSS is %d, want 1380", clampedBy, got)
				}
			}
		}
		if found != 1 {
			t.Errorf("clamped by the %s: %d SYNs arrived", clampedBy, found)
		}
	}
}
