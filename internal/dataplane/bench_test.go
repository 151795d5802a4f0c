package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/index"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// straight hands what one side sends to the other at once, where it lies.
type straight struct {
	from wire.Endpoint
	to   *Decapsulator
	one  [1]batch.Batch
}

func (s *straight) Send(b *batch.Batch) error {
	s.one[0] = *b
	s.one[0].Remote = s.from
	s.to.Receive(start, s.one[:])
	return nil
}

// BenchmarkThrough takes packets from the interface of one side to that of the
// other without a system call. With -tags nullaead only the bookkeeping, the
// copy and the checksums are left.
func BenchmarkThrough(b *testing.B) {
	for name, frames := range map[string][][]byte{
		"super-packet": {tcpSuper(1, pattern(45*1368), 1368)},
		"64 of 64":     small(64),
		"one of 64":    small(1),
	} {
		b.Run(name, func(b *testing.B) {
			x, y := pair(b)
			packets := len(frames)
			if packets == 1 && len(frames[0]) > 1500 {
				packets = 45
			}
			benchmarkThrough(b, x, y, frames, packets)
		})
	}
	for name, size := range map[string]int{"32 peers 100": 100, "32 peers 1420": 1420} {
		b.Run(name, func(b *testing.B) {
			x, y := pair(b)
			var frames [][]byte
			for i := range byte(32) {
				frames = append(frames, frame(udpPacket(meet(x, y, i), netip.AddrFrom4([4]byte{10, 2, 0, i}), size)))
			}
			benchmarkThrough(b, x, y, frames, len(frames))
		})
	}
}

func benchmarkThrough(b *testing.B, x, y *side, frames [][]byte, packets int) {
	y.connect(&silentTUN{}, &silentUDP{})
	x.connect(&silentTUN{}, &straight{from: x.at, to: y.dec})
	for b.Loop() {
		x.enc.Encapsulate(start, frames)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
	for d := range drops {
		if n := y.Drops.Count(d) + x.Drops.Count(d); n > 0 {
			b.Fatalf("%d dropped for %v", n, d)
		}
	}
}

// meet gives each side one more peer, which is the other side. Packets to
// 10.2.0.n leave x on the session of the two, and arrive if they come from the
// address that it returns.
func meet(x, y *side, n byte) (from netip.Addr) {
	one, two := [32]byte{n, 1}, [32]byte{n, 2}
	i := uint32(n) + 100
	from = netip.AddrFrom4([4]byte{10, 1, 0, n})
	x.add(session.New(&one, &two, i, i, true, start), y.at, netip.AddrFrom4([4]byte{10, 2, 0, n}))
	y.add(session.New(&two, &one, i, i, false, start), x.at, from)
	return from
}

// add adds a peer with a session.
func (s *side) add(k *session.Keypair, at wire.Endpoint, inner netip.Addr) {
	p := peer.New(s.common)
	p.SetEndpoint(at)
	p.SetSessions(&peer.Sessions{Current: k})
	s.route(p, netip.PrefixFrom(inner, inner.BitLen()))
	b := binary.LittleEndian.AppendUint32(nil, k.Local)
	if _, err := s.Index.Reserve(bytes.NewReader(b), &index.Entry{Peer: p, Keypair: k}); err != nil {
		s.t.Fatal(err)
	}
}
