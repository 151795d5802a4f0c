package dataplane

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// The same traffic is sent as the same datagrams, in the same order and with the
// same notes, errors and drops, whether each batch is sealed and sent before the
// next is read, or several goroutines seal batches concurrently (A43, B39, B47).
func TestSealInParallel(t *testing.T) {
	batches, complete := 0, 0
	var dropped [drops]uint64
	for seed := range uint64(12) {
		one, two := newOutbound(t, seed), newOutbound(t, seed)
		p := newParallel(seed, two.enc.NewJob, (*SealJob).Seal, two.enc.Send)
		for range 50 {
			now, frames := one.batch()
			one.send(now, frames...)
			now, frames = two.batch()
			p.next(func(j *SealJob) bool { return two.enc.Prepare(j, now, frames) })
		}
		p.close()
		batches, complete = batches+p.batches, complete+p.complete
		if got, want := two.udp.take(), one.udp.take(); !slices.EqualFunc(got, want, sameTrain) {
			t.Fatalf("seed %d: %d trains differ from the %d expected", seed, len(got), len(want))
		}
		if got, want := two.tun.take(), one.tun.take(); !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("seed %d: %d errors differ from the %d expected", seed, len(got), len(want))
		}
		if got, want := two.tally(two.peers), one.tally(one.peers); !slices.Equal(got, want) {
			t.Errorf("seed %d: notes and drops are %d, want %d", seed, got, want)
		}
		for d := range drops {
			dropped[d] += one.Drops.Count(d)
		}
	}
	for d := DropNotIP; d <= DropStaged; d++ {
		if dropped[d] == 0 {
			t.Errorf("nothing was dropped for %v", d)
		}
	}
	if complete < batches/4 || complete > batches*3/4 {
		t.Errorf("%d of %d batches were complete when they were prepared", complete, batches)
	}
}

func sameTrain(a, b batch.Batch) bool {
	return bytes.Equal(a.Data, b.Data) && a.Stride == b.Stride && a.Remote == b.Remote && a.ECN == b.ECN && a.TTL == b.TTL && a.Class == b.Class
}

// These jobs are complete after Prepare, and send exactly the same bytes as
// Encapsulate.
func TestSealComplete(t *testing.T) {
	for name, frames := range map[string][][]byte{
		"super-packet":  {tcpSuper(1, pattern(61500), 1380)},
		"short last":    {tcpSuper(1, pattern(20001), 1000)},
		"behind an ack": {frame(udpPacket(addrA, addrB, 64)), tcpSuper(1, pattern(30000), 1380)},
		"many small":    small(64),
		"IPv6":          {frame(udpPacket(addrA6, addrB6, 1420))},
		"a full job":    {tcpSuper(1, pattern(128*200), 200)},
		"two peers":     {frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA, netip.AddrFrom4([4]byte{10, 2, 0, 1}), 64))},
	} {
		one, y := pair(t)
		linkPeers(one, y, 1)
		three, y := pair(t)
		linkPeers(three, y, 1)
		one.send(start, frames...)
		// The second round uses another job: counters continue across jobs.
		for _, j := range []*SealJob{three.sealing, three.enc.NewJob()} {
			if !three.enc.Prepare(j, start, frames) {
				t.Fatalf("%s: the job is not complete", name)
			}
			j.Seal()
			three.enc.Send(j)
		}
		one.send(start, frames...)
		if got, want := three.udp.take(), one.udp.take(); !slices.EqualFunc(got, want, sameTrain) {
			t.Errorf("%s: %d trains differ from the %d expected", name, len(got), len(want))
		}
		if _, sent := three.peer.Bytes(); sent == 0 || three.peer.LastSent() != start || three.peer.Unanswered() != start {
			t.Errorf("%s: %d bytes sent, at %d, or another time of the first unanswered packet", name, sent, three.peer.LastSent())
		}
		three.wantDrops(nil)
	}
}

// Prepare reserves the counters: the order of Seal does not matter.
func TestPrepareReserves(t *testing.T) {
	a, b := pair(t)
	first, second := a.sealing, a.enc.NewJob()
	if !a.enc.Prepare(first, start, [][]byte{tcpSuper(1, pattern(30000), 1000)}) ||
		!a.enc.Prepare(second, start, [][]byte{tcpSuper(30001, pattern(30000), 1000)}) {
		t.Fatal("the job is not complete")
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
				t.Fatalf("got counter %d, want %d", got, want)
			}
			want++
		}
	}
	if want != 60 {
		t.Errorf("%d packets, want 60", want)
	}
	for i := range trains {
		trains[i].Remote = a.at
	}
	b.dec.Decapsulate(b.opening, start, trains)
	b.wantDrops(nil)
}

// Packets that do not fit into a job, need a session, or must follow staged
// packets are left to Send: Prepare sends, stages and drops nothing.
func TestSealIncomplete(t *testing.T) {
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
		"staged (A43)":        {[][]byte{super}, func(s *side) { s.peer.Stage(super, 20) }, 40},
		"staged, too many":    {[][]byte{super}, func(s *side) { s.peer.Stage(tcpSuper(1, pattern(300*100), 100), 300) }, 320},
		"staged, second peer": {[][]byte{frame(udpPacket(addrA, netip.AddrFrom4([4]byte{10, 2, 0, 1}), 64)), super}, func(s *side) { s.peer.Stage(super, 20) }, 41},
	} {
		a, b := pair(t)
		linkPeers(a, b, 1)
		if c.prepare != nil {
			c.prepare(a)
		}
		staged := a.peer.HasStaged()
		if a.enc.Prepare(a.sealing, start, c.frames) {
			t.Errorf("%s: the job is complete", name)
		}
		if len(a.udp.take()) > 0 || len(a.tun.take()) > 0 || a.peer.HasStaged() != staged {
			t.Errorf("%s: Prepare sent or staged something", name)
		}
		a.wantDrops(nil)
		a.sealing.Seal()
		a.enc.Send(a.sealing)
		sent := 0
		for _, train := range a.udp.take() {
			sent += train.Count()
		}
		if sent != c.sent || a.peer.HasStaged() != (sent == 0) {
			t.Errorf("%s: %d packets were sent, want %d", name, sent, c.sent)
		}
		a.wantDrops(nil)
	}
}

// A35: packets prepared on a session that is erased before Seal are dropped and
// counted, and a new session is requested.
func TestErasedBeforeSeal(t *testing.T) {
	a, _ := pair(t)
	if !a.enc.Prepare(a.sealing, start, [][]byte{tcpSuper(1, pattern(20000), 1000)}) {
		t.Fatal("the job is not complete")
	}
	a.peer.Sessions().Current.Erase()
	a.sealing.Seal()
	a.enc.Send(a.sealing)
	a.wantDrops(map[Drop]uint64{DropSessionEnded: 20})
	if wants, _, _ := a.notes.take(); wants != 1 || len(a.udp.take()) != 0 {
		t.Errorf("a session was requested %d times, want once and nothing sent", wants)
	}
}

// An unsealed job is not sent, even if the same job was sealed and sent before.
func TestNotSealed(t *testing.T) {
	a, _ := pair(t)
	a.send(start, small(3)...)
	a.udp.take()
	a.enc.Prepare(a.sealing, start, small(3))
	a.enc.Send(a.sealing)
	if len(a.udp.take()) != 0 {
		t.Error("an unsealed job was sent")
	}
	a.wantDrops(map[Drop]uint64{DropSessionEnded: 3})
}

// A43: on a session that begins between Prepare and Send, staged packets are sent
// first.
func TestSessionBetweenPrepareAndSend(t *testing.T) {
	a, b := pair(t)
	k := a.peer.Sessions().Current
	a.peer.SetSessions(nil)
	a.enc.Prepare(a.sealing, start, small(3))
	a.current(k)
	a.peer.Stage(frame(udpPacket(addrA, addrB, 64, 99)), 1) // older
	a.sealing.Seal()
	a.enc.Send(a.sealing)
	transfer(start, a, b)
	var order []byte
	for _, f := range b.tun.take() {
		for _, p := range splitAll(f) {
			order = append(order, p[len(p)-1])
		}
	}
	if !bytes.Equal(order, []byte{99, 0, 1, 2}) || a.peer.HasStaged() {
		t.Errorf("sent in the order %d, want 99 first and nothing staged", order)
	}
}

// Jobs use the interface and the sockets that their Encapsulator or Decapsulator
// was created with.
func TestJobsUseGivenInterface(t *testing.T) {
	a, b := pair(t)
	var tunA, tunB fakeTUN
	var udpA fakeUDP
	a.connect(&tunA, &udpA)
	b.connect(&tunB, &b.udp)
	for _, j := range []*SealJob{a.sealing, a.enc.NewJob()} {
		a.enc.Encapsulate(j, start, [][]byte{frame(udpPacket(addrA, addrB, 64)), frame(udpPacket(addrA, netip.MustParseAddr("10.9.9.9"), 64))})
	}
	sent := udpA.take()
	for i, j := range []*OpenJob{b.opening, b.dec.NewJob()} {
		b.dec.Decapsulate(j, start, sent[i:i+1])
	}
	if len(sent) != 2 || len(a.udp.take()) != 0 || len(tunA.take()) == 0 || len(a.tun.take()) != 0 || len(tunB.take()) != 2 || len(b.tun.take()) != 0 {
		t.Error("packets did not use the given interface and sockets")
	}
}
