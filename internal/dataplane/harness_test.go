package dataplane

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/internal/allowedips"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// side is one end of a tunnel, with fakes around it that record everything.
type side struct {
	*Shared
	t       testing.TB
	enc     *Encapsulator
	sealing *SealJob
	dec     *Decapsulator
	opening *OpenJob
	tun     fakeTUN
	udp     fakeUDP
	notes   fakeNotes

	offloads packet.Offloads // of tun
	peer     *peer.Peer      // the other end
	common   *peer.Common
	at       wire.Endpoint
	routes   *atomic.Pointer[allowedips.Table[*peer.Peer]]

	handshakes [][]byte
}

const (
	start = clock.Time(1000 * time.Second)
	local = 0x01020304 // index of the side's only session
)

var (
	addrA, addrB   = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	addrA6, addrB6 = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2")
)

func testTiming() peer.Timing {
	return peer.Timing{
		RekeyAfterTime:     120 * time.Second,
		RekeyOnReceive:     165 * time.Second,
		RekeyAfterMessages: 1 << 60,
		KeepaliveTimeout:   10 * time.Second,
		NoReply:            15 * time.Second,
	}
}

// pair returns two ends with a session; a is the initiator. transfer delivers
// what one has sent to the other.
func pair(t testing.TB) (a, b *side) {
	a = newSide(t, "192.0.2.1:51820", netip.PrefixFrom(addrB, 32), netip.PrefixFrom(addrB6, 128))
	b = newSide(t, "192.0.2.2:51821", netip.PrefixFrom(addrA, 32), netip.PrefixFrom(addrA6, 128))
	a.peer.SetEndpoint(b.at)
	b.peer.SetEndpoint(a.at)
	ka, kb := keypairs(start)
	a.current(ka)
	b.current(kb)
	return a, b
}

// keypairs returns the two ends of a session.
func keypairs(created clock.Time) (initiator, responder *session.Keypair) {
	one, two := [32]byte{1}, [32]byte{2}
	return session.New(&one, &two, local, local, true, created), session.New(&two, &one, local, local, false, created)
}

func newSide(t testing.TB, at string, prefixes ...netip.Prefix) *side {
	s := &side{t: t, common: peer.NewCommon(testTiming()), offloads: packet.Offloads{TCP: true, UDP: true}}
	s.peer = peer.New(s.common)
	s.at = wire.NewEndpoint(netip.MustParseAddrPort(at), netip.Addr{}, 0)
	s.routes = new(atomic.Pointer[allowedips.Table[*peer.Peer]])
	s.Shared = &Shared{
		Notes: &s.notes, Offloads: func() packet.Offloads { return s.offloads },
		Routes: s.routes, Index: index.New(), Drops: &Drops{}, Counters: &Counters{},
	}
	s.MTU.Store(1420)
	s.Port.Store(uint32(s.at.Remote.Port()))
	s.route(s.peer, prefixes...)
	s.connect(&s.tun, &s.udp)
	return s
}

// connect replaces the interface and the sockets of s.
func (s *side) connect(t TUN, u UDP) {
	s.enc = NewEncapsulator(s.Shared, t, u)
	s.sealing = s.enc.NewJob()
	s.dec = NewDecapsulator(s.Shared, t, func(from wire.Endpoint, msg []byte) {
		s.handshakes = append(s.handshakes, bytes.Clone(msg))
	})
	s.opening = s.dec.NewJob()
}

func (s *side) route(p *peer.Peer, prefixes ...netip.Prefix) {
	e := s.routes.Load().Edit()
	for _, prefix := range prefixes {
		e.Insert(prefix, p)
	}
	s.routes.Store(e.Table())
}

// current publishes k as the session, under the index local.
func (s *side) current(k *session.Keypair) {
	s.entry(k)
	s.peer.SetSessions(&peer.Sessions{Current: k})
}

func (s *side) entry(k *session.Keypair) {
	e := &index.Entry{Peer: s.peer, Keypair: k}
	if s.Index.Lookup(k.Local) != nil {
		s.Index.Replace(k.Local, e)
		return
	}
	s.reserve(k.Local, e)
}

// linkPeers adds a peer to each side that stands for the other side. x sends
// packets to 10.2.0.n on their session, and y accepts them if their source is the
// returned address.
func linkPeers(x, y *side, n byte) (from netip.Addr) {
	one, two := [32]byte{n, 1}, [32]byte{n, 2}
	i := uint32(n) + 100
	from = netip.AddrFrom4([4]byte{10, 1, 0, n})
	x.add(session.New(&one, &two, i, i, true, start), y.at, netip.AddrFrom4([4]byte{10, 2, 0, n}))
	y.add(session.New(&two, &one, i, i, false, start), x.at, from)
	return from
}

// add adds a peer with the session k.
func (s *side) add(k *session.Keypair, at wire.Endpoint, inner netip.Addr) {
	p := peer.New(s.common)
	p.SetEndpoint(at)
	p.SetSessions(&peer.Sessions{Current: k})
	s.route(p, netip.PrefixFrom(inner, inner.BitLen()))
	s.reserve(k.Local, &index.Entry{Peer: p, Keypair: k})
}

// reserve puts e into the index, at i.
func (s *side) reserve(i uint32, e *index.Entry) uint32 {
	b := binary.LittleEndian.AppendUint32(nil, i)
	if _, err := s.Index.Reserve(bytes.NewReader(b), e); err != nil {
		s.t.Fatal(err)
	}
	return i
}

// send encapsulates frames.
func (s *side) send(now clock.Time, frames ...[]byte) { s.enc.Encapsulate(s.sealing, now, frames) }

// transfer delivers to b what a has sent.
func transfer(now clock.Time, a, b *side) {
	trains := a.udp.take()
	for i := range trains {
		trains[i].Remote = a.at
	}
	b.dec.Decapsulate(b.opening, now, trains)
}

// wantDrops checks all drop counters.
func (s *side) wantDrops(want map[Drop]uint64) {
	s.t.Helper()
	for d := range drops {
		if got := s.Drops.Count(d); got != want[d] {
			s.t.Errorf("%d packets dropped for %v, want %d", got, d, want[d])
		}
	}
}

// wantCounters checks all counters.
func (s *side) wantCounters(want map[Counter]uint64) {
	s.t.Helper()
	for c := range counters {
		if got := s.Counters.Count(c); got != want[c] {
			s.t.Errorf("%d packets counted as %v, want %d", got, c, want[c])
		}
	}
}

// fakeTUN records frames.
type fakeTUN struct {
	mu     sync.Mutex
	frames [][]byte
	pieces []int // of each frame
	err    error
}

func (f *fakeTUN) Write(pieces [][]byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.frames = append(f.frames, bytes.Join(pieces, nil))
	f.pieces = append(f.pieces, len(pieces))
	return nil
}

// WriteEach writes the frames one by one.
func (f *fakeTUN) WriteEach(frames [][]byte) (failed int) {
	for _, frame := range frames {
		if f.Write([][]byte{frame}) != nil {
			failed++
		}
	}
	return failed
}

func (f *fakeTUN) take() [][]byte {
	frames := f.frames
	f.frames, f.pieces = nil, nil
	return frames
}

// fakeUDP records trains.
type fakeUDP struct {
	mu     sync.Mutex
	trains []batch.Batch
	errs   []error // of the next trains

	together []int // how many trains each SendAll sent
}

func (f *fakeUDP) Send(b *batch.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		if err != nil && err != batch.ErrSourceGone {
			return err
		}
		f.record(b)
		return err
	}
	f.record(b)
	return nil
}

func (f *fakeUDP) SendAll(bs []batch.Batch, errs []error) {
	f.mu.Lock()
	f.together = append(f.together, len(bs))
	f.mu.Unlock()
	batch.SendInTurn(f.Send, bs, errs)
}

func (f *fakeUDP) record(b *batch.Batch) {
	c := *b
	c.Data = bytes.Clone(b.Data)
	f.trains = append(f.trains, c)
}

func (f *fakeUDP) take() []batch.Batch {
	f.mu.Lock()
	defer f.mu.Unlock()
	trains := f.trains
	f.trains = nil
	return trains
}

// fakeNotes counts notes.
type fakeNotes struct {
	mu                     sync.Mutex
	wants, confirms, wakes int
	routes                 int
	wishes                 []peer.ProbeWish
	answers                []packet.EchoAnswer
	onWant                 func()
}

func (n *fakeNotes) Want(*peer.Peer) {
	n.mu.Lock()
	n.wants++
	n.mu.Unlock()
	if n.onWant != nil {
		n.onWant()
	}
}

func (n *fakeNotes) Confirm(*peer.Peer, *session.Keypair) { n.mu.Lock(); n.confirms++; n.mu.Unlock() }
func (n *fakeNotes) Wake(*peer.Peer)                      { n.mu.Lock(); n.wakes++; n.mu.Unlock() }
func (n *fakeNotes) Route(*peer.Peer)                     { n.mu.Lock(); n.routes++; n.mu.Unlock() }

func (n *fakeNotes) Probe(_ *peer.Peer, w peer.ProbeWish) {
	n.mu.Lock()
	n.wishes = append(n.wishes, w)
	n.mu.Unlock()
}

func (n *fakeNotes) ProbeAnswered(_ *peer.Peer, a packet.EchoAnswer) {
	n.mu.Lock()
	n.answers = append(n.answers, a)
	n.mu.Unlock()
}

func (n *fakeNotes) take() (wants, confirms, wakes int) {
	wants, confirms, wakes = n.wants, n.confirms, n.wakes
	n.wants, n.confirms, n.wakes = 0, 0, 0
	return
}

// frame returns p behind an empty virtio header.
func frame(p []byte) []byte { return append(make([]byte, packet.VirtioHeaderSize), p...) }

// udpPacket returns an inner packet of exactly size bytes, from port 1000 to
// 2000, that ends with payload.
func udpPacket(from, to netip.Addr, size int, payload ...byte) []byte {
	p := make([]byte, size)
	at := 20
	if from.Is4() {
		p[0], p[8], p[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(p[2:], uint16(size))
		copy(p[12:], from.AsSlice())
		copy(p[16:], to.AsSlice())
		ipv4Checksum(p)
	} else {
		at = 40
		p[0], p[6], p[7] = 0x60, 17, 64
		binary.BigEndian.PutUint16(p[4:], uint16(size-40))
		copy(p[8:], from.AsSlice())
		copy(p[24:], to.AsSlice())
	}
	binary.BigEndian.PutUint16(p[at:], 1000)
	binary.BigEndian.PutUint16(p[at+2:], 2000)
	binary.BigEndian.PutUint16(p[at+4:], uint16(size-at))
	copy(p[size-len(payload):], payload)
	return p
}

// tcpSuper returns a super-packet from A to B as the kernel hands it over.
func tcpSuper(seq uint32, payload []byte, size int) []byte {
	return tcpSuperTo(addrB, seq, payload, size)
}

// tcpSuperTo is tcpSuper for another IPv4 destination.
func tcpSuperTo(to netip.Addr, seq uint32, payload []byte, size int) []byte {
	p := make([]byte, 40+len(payload))
	p[0], p[6], p[8], p[9] = 0x45, 0x40, 64, 6
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[12:], addrA.AsSlice())
	copy(p[16:], to.AsSlice())
	ipv4Checksum(p)
	t := p[20:]
	binary.BigEndian.PutUint32(t, 1000<<16|443)
	binary.BigEndian.PutUint32(t[4:], seq)
	t[12], t[13] = 5<<4, 0x10
	copy(p[40:], payload)
	pseudo := append(append([]byte(nil), p[12:20]...), 0, 6, byte(len(t)>>8), byte(len(t)))
	binary.BigEndian.PutUint16(t[16:], sum16(pseudo))
	h := packet.VirtioHeader{
		Flags: packet.NeedsChecksum, GSOType: packet.GSOTCP4, HeaderLen: 40,
		GSOSize: uint16(size), ChecksumStart: 20, ChecksumOffset: 16,
	}
	f := frame(p)
	h.Encode(f)
	return f
}

func ipv4Checksum(p []byte) {
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], ^sum16(p[:20]))
}

func sum16(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func small(n int) (frames [][]byte) {
	for i := range n {
		frames = append(frames, frame(udpPacket(addrA, addrB, 64, byte(i))))
	}
	return frames
}

// silentTUN and silentUDP record nothing, so that only the allocations of the
// data plane are counted.
type silentTUN struct{ writes int }

func (s *silentTUN) Write([][]byte) error                   { s.writes++; return nil }
func (s *silentTUN) WriteEach(frames [][]byte) (failed int) { s.writes += len(frames); return 0 }

type silentUDP struct{ sends int }

func (s *silentUDP) Send(*batch.Batch) error { s.sends++; return nil }

func (s *silentUDP) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }
