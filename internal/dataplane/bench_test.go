package dataplane

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"wgd/internal/aead"
	"wgd/internal/batch"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// directUDP hands each train to the other side at once, without copying it.
type directUDP struct {
	from wire.Endpoint
	to   *side
	one  [1]batch.Batch
}

func (s *directUDP) Send(b *batch.Batch) error {
	s.one[0] = *b
	s.one[0].Remote = s.from
	s.to.dec.Decapsulate(s.to.opening, start, s.one[:])
	return nil
}

func (s *directUDP) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }

// BenchmarkBothPaths moves packets from the interface of one side to that of the
// other without system calls. With -tags nullaead it measures only the
// bookkeeping, the copy and the checksums.
func BenchmarkBothPaths(b *testing.B) {
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
			benchmarkBothPaths(b, x, y, frames, packets)
		})
	}
	for name, size := range map[string]int{"32 peers 100": 100, "32 peers 1420": 1420} {
		b.Run(name, func(b *testing.B) {
			x, y := manyPeers(b, 32)
			var frames [][]byte
			for i := range byte(32) {
				frames = append(frames, frameTo(i, size))
			}
			benchmarkBothPaths(b, x, y, frames, len(frames))
		})
	}
}

func benchmarkBothPaths(b *testing.B, x, y *side, frames [][]byte, packets int) {
	y.connect(&silentTUN{}, &silentUDP{})
	x.connect(&silentTUN{}, &directUDP{from: x.at, to: y})
	for b.Loop() {
		x.enc.Encapsulate(x.sealing, start, frames)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*packets), "ns/packet")
	for d := range drops {
		if n := y.Drops.Count(d) + x.Drops.Count(d); n > 0 {
			b.Fatalf("%d packets dropped for %v", n, d)
		}
	}
}

// An inTurn is two ends with 200 peers, as they are on a gateway in use: each with
// another endpoint, and with a route and a path that are known.
type inTurn struct {
	x, y *side
	next int // the peer whose turn it is
}

const benchPeers = 200

func newInTurn(b *testing.B) *inTurn {
	x, y := manyPeers(b, benchPeers)
	y.connect(&silentTUN{}, &silentUDP{})
	for _, s := range []*side{x, y} {
		timing := testTiming()
		timing.ProbePaths = true
		s.common.SetTiming(timing)
		s.common.SetChanges(&peer.Changes{})
		for i := range byte(benchPeers) {
			p := s.linked(i).Peer
			p.SetEndpoint(benchEndpoint(i))
			at := p.Location()
			at.SetRoute(&peer.Route{Found: true, Interface: 2}, 0)
			at.SetProbed(0, start.Add(time.Hour))
			at.PostponeProbe(start.Add(time.Hour))
		}
	}
	return &inTurn{x: x, y: y}
}

func benchEndpoint(i byte) wire.Endpoint {
	return wire.NewEndpoint(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, i}), 51820), netip.AddrFrom4([4]byte{192, 0, 2, 1}), 2)
}

// frames returns frames to as many peers, in turn.
func (c *inTurn) frames(n, size int) (frames [][]byte) {
	for range n {
		frames = append(frames, frameTo(byte(c.next), size))
		c.next = (c.next + 1) % benchPeers
	}
	return frames
}

// A benchRead is what one read from the socket returns: datagrams from as many peers.
type benchRead struct {
	trains []batch.Batch
	from   []*session.Keypair
	inner  [][]byte
	spans  []aead.Packet
}

func (c *inTurn) read(n, size int) *benchRead {
	r := &benchRead{}
	for range n {
		r.from = append(r.from, c.x.linked(byte(c.next)).Keypair)
		r.inner = append(r.inner, frameTo(byte(c.next), size)[packet.VirtioHeaderSize:])
		r.trains = append(r.trains, batch.Batch{Data: make([]byte, size+overhead), Stride: size + overhead})
		r.spans = append(r.spans, aead.Packet{Len: int32(size + overhead)})
		c.next = (c.next + 1) % benchPeers
	}
	first := c.next - n
	r.trains = inOneBuffer(r.trains, wire.Endpoint{})
	for i := range r.trains {
		r.trains[i].Remote = benchEndpoint(byte((first + i + benchPeers) % benchPeers))
	}
	return r
}

// seal writes new datagrams, as the kernel would, to the same places.
func (r *benchRead) seal() {
	for i := range r.trains {
		copy(r.trains[i].Data[wire.DataHeaderSize:], r.inner[i])
		first, _ := r.from[i].Reserve(1)
		r.from[i].Seal(r.trains[i].Data, r.spans[i:i+1], first)
	}
}

// BenchmarkOutToPeers: one packet to each of 200 peers in turn, some of them in a batch.
func BenchmarkOutToPeers(b *testing.B) {
	for _, size := range []int{100, 1420} {
		for _, n := range []int{1, 12, 32, 64} {
			b.Run(fmt.Sprintf("%d of %d", n, size), func(b *testing.B) {
				c := newInTurn(b)
				c.x.connect(&silentTUN{}, &silentUDP{})
				var batches [][][]byte
				for len(batches) == 0 || c.next > 0 { // whole turns
					batches = append(batches, c.frames(n, size))
				}
				i := 0
				for b.Loop() {
					c.x.enc.Encapsulate(c.x.sealing, start, batches[i%len(batches)])
					i++
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/packet")
				c.noDrops(b)
			})
		}
	}
}

// BenchmarkInFromPeers: one packet from each of 200 peers in turn, some of them in a read.
func BenchmarkInFromPeers(b *testing.B) {
	for _, size := range []int{100, 1420} {
		for _, n := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%d of %d", n, size), func(b *testing.B) {
				c := newInTurn(b)
				var reads []*benchRead
				for len(reads) == 0 || c.next > 0 { // whole turns
					reads = append(reads, c.read(n, size))
				}
				var spent time.Duration
				i := 0
				for b.Loop() {
					r := reads[i%len(reads)]
					r.seal()
					begun := time.Now() // stopping the timer of b costs more than what is measured
					c.y.dec.Decapsulate(c.y.opening, start, r.trains)
					spent += time.Since(begun)
					i++
				}
				b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*n), "ns/packet")
				c.noDrops(b)
			})
		}
	}
}

func (c *inTurn) noDrops(b *testing.B) {
	for d := range drops {
		if n := c.y.Drops.Count(d) + c.x.Drops.Count(d); n > 0 {
			b.Fatalf("%d packets dropped for %v", n, d)
		}
	}
}
