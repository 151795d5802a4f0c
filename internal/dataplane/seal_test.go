package dataplane

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// sealBeside prepares and sends batches in order, as far as they are given to
// prepare, while several goroutines seal them in any order.
type sealBeside struct {
	enc  *Encapsulator
	dice *rand.Rand
	free chan *SealJob
	sent chan struct{} // one for each batch
	next chan sealing

	batches, complete int
}

type sealing struct {
	job    *SealJob
	sealed chan struct{}
}

func newSealBeside(enc *Encapsulator, dice *rand.Rand, jobs int) *sealBeside {
	s := &sealBeside{enc: enc, dice: dice, free: make(chan *SealJob, jobs), sent: make(chan struct{}, 1000), next: make(chan sealing, jobs)}
	for range jobs {
		s.free <- enc.NewJob()
	}
	go func() {
		for n := range s.next {
			<-n.sealed
			s.enc.Send(n.job)
			s.free <- n.job
			s.sent <- struct{}{}
		}
	}()
	return s
}

func (s *sealBeside) prepare(now clock.Time, frames [][]byte) {
	job, sealed := <-s.free, make(chan struct{})
	complete := s.enc.Prepare(job, now, frames)
	pause := s.dice.IntN(20)
	go func() {
		for range pause {
			runtime.Gosched()
		}
		job.Seal()
		close(sealed)
	}()
	s.next <- sealing{job, sealed}
	s.batches++
	if complete {
		s.complete++
	} else {
		s.wait()
	}
}

// wait waits until all batches are sent.
func (s *sealBeside) wait() {
	for ; s.batches > 0; s.batches-- {
		<-s.sent
	}
}

// The same traffic leaves as the same datagrams, in the same order and with the
// same notes, errors and drops, whether each batch is sealed and sent before the
// next is read, or several goroutines seal batches beside each other (A43, B39,
// B47).
func TestSealBeside(t *testing.T) {
	batches, complete := 0, 0
	for seed := range uint64(25) {
		one, two := newTraffic(t, seed), newTraffic(t, seed)
		s := newSealBeside(two.enc, rand.New(rand.NewPCG(seed, 2)), 4)
		for range 60 {
			now, frames := one.batch()
			one.send(now, frames...)
			now, frames = two.batch()
			s.prepare(now, frames)
			batches++
		}
		s.wait()
		close(s.next)
		complete += s.complete
		if got, want := two.udp.take(), one.udp.take(); !slices.EqualFunc(got, want, sameTrain) {
			t.Fatalf("seed %d: %d trains, not the same as %d", seed, len(got), len(want))
		}
		if got, want := two.tun.take(), one.tun.take(); !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("seed %d: %d errors, not the same as %d", seed, len(got), len(want))
		}
		if got, want := two.tally(), one.tally(); !slices.Equal(got, want) {
			t.Errorf("seed %d: noted or dropped: %d, not %d", seed, got, want)
		}
	}
	if complete < batches/4 || complete > batches*3/4 {
		t.Errorf("%d of %d batches were complete when they were prepared", complete, batches)
	}
}

func sameTrain(a, b batch.Batch) bool {
	return bytes.Equal(a.Data, b.Data) && a.Stride == b.Stride && a.Remote == b.Remote && a.ECN == b.ECN && a.TTL == b.TTL && a.Class == b.Class
}

// traffic is a side with several peers, and what its interface reads. Of the same
// seed comes the same traffic.
type traffic struct {
	*side
	dice  *rand.Rand
	now   clock.Time
	peers []*peer.Peer
	hosts []netip.Addr // behind each
	index uint32       // of the last session
}

func newTraffic(t *testing.T, seed uint64) *traffic {
	f := &traffic{side: newSide(t, "192.0.2.1:51820"), dice: rand.New(rand.NewPCG(seed, 1)), now: start}
	f.MTU.Store(int32([]int{0, 576, 1420, 65535}[seed%4]))
	for i := range 5 {
		p, host := peer.New(f.common), netip.AddrFrom4([4]byte{10, 5, 0, byte(i)})
		f.peers, f.hosts = append(f.peers, p), append(f.hosts, host)
		f.route(p, netip.PrefixFrom(host, 32))
		if i > 0 { // the first one has no address
			address := []string{"198.51.100.1:5", "[2001:db8::1]:5"}[i%2]
			p.SetEndpoint(wire.NewEndpoint(netip.MustParseAddrPort(address), netip.Addr{}, 0))
			f.session(p)
		}
	}
	f.route(f.peers[2], netip.MustParsePrefix("198.51.100.1/32"))
	return f
}

// session gives p a new session.
func (f *traffic) session(p *peer.Peer) {
	f.index++
	key := [32]byte{byte(f.index), byte(f.index >> 8)}
	k := session.New(&key, &key, f.index, f.index, f.index%2 == 0, f.now)
	p.SetSessions(&peer.Sessions{Current: k, Previous: p.Sessions().Current})
	f.reserve(k.Local, &index.Entry{Peer: p, Keypair: k})
}

// batch has something happen, and returns what the interface reads then.
func (f *traffic) batch() (now clock.Time, frames [][]byte) {
	f.now = f.now.Add(time.Duration(f.dice.IntN(20)) * time.Second)
	i := f.dice.IntN(len(f.peers))
	switch p := f.peers[i]; f.dice.IntN(12) {
	case 0:
		p.SetSessions(nil)
	case 1:
		f.session(p)
	case 2:
		p.Stage(f.frame(f.hosts[i]), 1)
	}
	to := f.hosts[f.dice.IntN(len(f.hosts))]
	for range 1 + f.dice.IntN(30) {
		if f.dice.IntN(6) == 0 {
			to = f.hosts[f.dice.IntN(len(f.hosts))]
		}
		frames = append(frames, f.frame(to))
	}
	return f.now, frames
}

// frame is one to a host, or something that cannot be sent.
func (f *traffic) frame(to netip.Addr) []byte {
	switch kind := f.dice.IntN(200); {
	case kind == 0:
		return frame([]byte("no packet at all"))
	case kind == 1:
		return frame(udpPacket(addrA, netip.MustParseAddr("10.66.0.1"), 64)) // to nobody
	case kind == 2:
		damaged := tcpSuper(1, pattern(5000), 1000)
		damaged[4], damaged[5] = 0, 0
		return damaged
	case kind == 3:
		return frame(udpPacket(addrA, to, 65500)) // too long
	case kind == 4: // our own datagram
		msg := make([]byte, wire.MinDataSize)
		msg[0], msg[4] = byte(wire.TypeData), byte(1+f.dice.IntN(int(f.index)))
		return frame(inside(netip.MustParseAddrPort("198.51.100.1:5"), msg))
	case kind < 10:
		return tcpSuperTo(to, f.dice.Uint32(), pattern(1+f.dice.IntN(60000)), 30+f.dice.IntN(1400))
	}
	p := udpPacket(addrA, to, 32+f.dice.IntN(100), byte(f.dice.Uint32()))
	p[1] = byte(f.dice.IntN(40) / 36) // ECN, sometimes
	ipv4Checksum(p)
	return frame(p)
}

// tally is all that was noted and counted.
func (f *traffic) tally() (list []uint64) {
	for d := range drops {
		list = append(list, f.Drops.Count(d))
	}
	wants, confirms, wakes := f.notes.take()
	list = append(list, uint64(wants), uint64(confirms), uint64(wakes))
	for _, p := range f.peers {
		_, sent := p.Bytes()
		list = append(list, sent, uint64(p.LastSent()), uint64(p.Unanswered()), uint64(p.Purge()))
	}
	return list
}

// These jobs are complete when they are prepared, and what leaves is what leaves
// when all steps are done at once, to the byte, and so is what is noted.
func TestComplete(t *testing.T) {
	for name, frames := range map[string][][]byte{
		"super-packet":      {tcpSuper(1, pattern(61500), 1380)},
		"short last":        {tcpSuper(1, pattern(20001), 1000)},
		"behind an ack":     {frame(udpPacket(addrA, addrB, 64)), tcpSuper(1, pattern(30000), 1380)},
		"many small":        small(64),
		"IPv6":              {frame(udpPacket(addrA6, addrB6, 1420))},
		"as many as can be": {tcpSuper(1, pattern(128*200), 200)},
		"two peers":         {frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA, netip.AddrFrom4([4]byte{10, 2, 0, 1}), 64))},
	} {
		one, y := pair(t)
		meet(one, y, 1)
		three, y := pair(t)
		meet(three, y, 1)
		one.send(start, frames...)
		// The first is done by another, so that the counters go on over both.
		for _, j := range []*SealJob{three.job, three.enc.NewJob()} {
			if !three.enc.Prepare(j, start, frames) {
				t.Fatalf("%s: not complete", name)
			}
			j.Seal()
			three.enc.Send(j)
		}
		one.send(start, frames...)
		if got, want := three.udp.take(), one.udp.take(); !slices.EqualFunc(got, want, sameTrain) {
			t.Errorf("%s: %d trains, not the same as %d", name, len(got), len(want))
		}
		if _, sent := three.peer.Bytes(); sent == 0 || three.peer.LastSent() != start || three.peer.Unanswered() != start {
			t.Errorf("%s: %d bytes are noted, at %d", name, sent, three.peer.LastSent())
		}
		three.wantDrops(nil)
	}
}

// Counters belong to the job that was prepared first, whichever is sealed first.
func TestPrepareReserves(t *testing.T) {
	a, b := pair(t)
	first, second := a.job, a.enc.NewJob()
	if !a.enc.Prepare(first, start, [][]byte{tcpSuper(1, pattern(30000), 1000)}) ||
		!a.enc.Prepare(second, start, [][]byte{tcpSuper(30001, pattern(30000), 1000)}) {
		t.Fatal("not complete")
	}
	second.Seal()
	first.Seal()
	a.enc.Send(first)
	a.enc.Send(second)
	trains := a.udp.take()
	var want uint64
	for i := range trains {
		for j := range trains[i].Count() {
			if got := wire.DataCounter(trains[i].At(j)); got != want {
				t.Fatalf("counter %d in the place of %d", got, want)
			}
			want++
		}
	}
	if want != 60 {
		t.Errorf("%d packets, not 60", want)
	}
	for i := range trains {
		trains[i].Remote = a.at
	}
	b.dec.Receive(start, trains)
	b.wantDrops(nil)
}

// What does not fit, or waits for a session, or for what waited for one, is left
// to Send: before that nothing is sent, staged or dropped.
func TestIncomplete(t *testing.T) {
	super := tcpSuper(1, pattern(20000), 1000)
	for name, c := range map[string]struct {
		frames  [][]byte
		prepare func(s *side)
		sent    int // packets
	}{
		"too many":   {[][]byte{tcpSuper(1, pattern(129*100), 100)}, nil, 129},
		"too much":   {[][]byte{tcpSuper(1, pattern(60000), 1380), tcpSuper(1, pattern(60000), 1380), tcpSuper(1, pattern(60000), 1380)}, nil, 3 * 44},
		"no session": {[][]byte{super}, func(s *side) { s.peer.SetSessions(nil) }, 0},
		"old session": {[][]byte{super}, func(s *side) {
			k, _ := keypairs(start.Add(-session.RejectAfterTime))
			s.peer.SetSessions(&peer.Sessions{Current: k})
		}, 0},
		"staged (A43)":         {[][]byte{super}, func(s *side) { s.peer.Stage(super, 20) }, 40},
		"staged, too many":     {[][]byte{super}, func(s *side) { s.peer.Stage(tcpSuper(1, pattern(300*100), 100), 300) }, 320},
		"staged while it goes": {[][]byte{frame(udpPacket(addrA, netip.AddrFrom4([4]byte{10, 2, 0, 1}), 64)), super}, func(s *side) { s.peer.Stage(super, 20) }, 41},
	} {
		a, b := pair(t)
		meet(a, b, 1)
		if c.prepare != nil {
			c.prepare(a)
		}
		staged := a.peer.HasStaged()
		if a.enc.Prepare(a.job, start, c.frames) {
			t.Errorf("%s: complete", name)
		}
		if len(a.udp.take()) > 0 || len(a.tun.take()) > 0 || a.peer.HasStaged() != staged {
			t.Errorf("%s: something was sent or staged by Prepare", name)
		}
		a.wantDrops(nil)
		a.job.Seal()
		a.enc.Send(a.job)
		sent := 0
		for _, train := range a.udp.take() {
			sent += train.Count()
		}
		if sent != c.sent || a.peer.HasStaged() != (sent == 0) {
			t.Errorf("%s: %d packets were sent, not %d", name, sent, c.sent)
		}
		a.wantDrops(nil)
	}
}

// A35: what was prepared on a session that is erased meanwhile is dropped and
// counted, and a new session is asked for.
func TestErasedBeforeSeal(t *testing.T) {
	a, _ := pair(t)
	if !a.enc.Prepare(a.job, start, [][]byte{tcpSuper(1, pattern(20000), 1000)}) {
		t.Fatal("not complete")
	}
	a.peer.Sessions().Current.Erase()
	a.job.Seal()
	a.enc.Send(a.job)
	a.wantDrops(map[Drop]uint64{DropSessionEnded: 20})
	if wants, _, _ := a.notes.take(); wants != 1 || len(a.udp.take()) != 0 {
		t.Errorf("%d wants", wants)
	}
}

// A43: a session that begins between Prepare and Send is not used before what had
// to wait for it.
func TestSessionBetweenPrepareAndSend(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	a.peer.SetSessions(nil)
	a.enc.Prepare(a.job, start, small(3))
	a.current(k)
	a.peer.Stage(frame(udpPacket(addrA, addrB, 64, 99)), 1) // older
	a.job.Seal()
	a.enc.Send(a.job)
	transfer(start, a, b)
	var order []byte
	for _, f := range b.tun.take() {
		for _, p := range splitAll(f) {
			order = append(order, p[len(p)-1])
		}
	}
	if !bytes.Equal(order, []byte{99, 0, 1, 2}) || a.peer.HasStaged() {
		t.Errorf("sent in the order %d", order)
	}
}

// All that is sent and written goes the way that was given.
func TestWays(t *testing.T) {
	a, b := pair(t)
	var tunA, tunB fakeTUN
	var udpA fakeUDP
	a.connect(&tunA, &udpA)
	b.connect(&tunB, &b.udp)
	for _, j := range []*SealJob{a.job, a.enc.NewJob()} {
		a.enc.Encapsulate(j, start, [][]byte{frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA, netip.MustParseAddr("10.9.9.9"), 64))})
	}
	sent := udpA.take()
	for i, d := range []*Decapsulator{b.dec, b.dec.Beside()} {
		d.Receive(start, sent[i:i+1])
	}
	if len(sent) != 2 || len(a.udp.take()) != 0 || len(tunA.take()) == 0 || len(a.tun.take()) != 0 || len(tunB.take()) != 2 || len(b.tun.take()) != 0 {
		t.Error("not through the ways that were given")
	}
}
