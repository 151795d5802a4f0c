package dataplane

import (
	"math/rand/v2"
	"runtime"

	"wgd/internal/peer"
)

// parallel makes the three calls for many batches as an engine does: the first
// and the last in order, each on its own goroutine, and the middle one on several
// goroutines concurrently, which end in any order.
type parallel[J any] struct {
	rng  *rand.Rand
	free chan J
	work func(J)
	due  chan worked[J] // jobs to be finished, in order
	done chan struct{}  // one value for each finished job

	batches, complete, unfinished int
}

type worked[J any] struct {
	job  J
	done chan struct{}
}

func newParallel[J any](seed uint64, job func() J, work, finish func(J)) *parallel[J] {
	const jobs = 4
	p := &parallel[J]{
		rng: rand.New(rand.NewPCG(seed, 2)), work: work,
		free: make(chan J, jobs), due: make(chan worked[J], jobs), done: make(chan struct{}, jobs),
	}
	for range jobs {
		p.free <- job()
	}
	go func() {
		for w := range p.due {
			<-w.done
			finish(w.job)
			p.free <- w.job
			p.done <- struct{}{}
		}
	}()
	return p
}

// next starts another batch. If the batch is not complete after prepare, next
// waits until it is finished.
func (p *parallel[J]) next(prepare func(J) (complete bool)) {
	for p.unfinished > 2 {
		p.wait(1)
	}
	w := worked[J]{<-p.free, make(chan struct{})}
	complete := prepare(w.job)
	pause := p.rng.IntN(20)
	go func() {
		for range pause {
			runtime.Gosched()
		}
		p.work(w.job)
		close(w.done)
	}()
	p.due <- w
	p.batches++
	if p.unfinished++; complete {
		p.complete++
	} else {
		p.wait(p.unfinished)
	}
}

func (p *parallel[J]) wait(n int) {
	for range n {
		<-p.done
		p.unfinished--
	}
}

// close waits until all batches are finished.
func (p *parallel[J]) close() {
	p.wait(p.unfinished)
	close(p.due)
}

// tally returns the drops, the counters, the notes and the state of the peers.
func (s *side) tally(peers []*peer.Peer) (list []uint64) {
	for d := range drops {
		list = append(list, s.Drops.Count(d))
	}
	for c := range counters {
		list = append(list, s.Counters.Count(c))
	}
	wants, confirms, wakes := s.notes.take()
	list = append(list, uint64(wants), uint64(confirms), uint64(wakes))
	for _, p := range peers {
		received, sent := p.Bytes()
		list = append(list, received, sent, uint64(p.LastSent()), uint64(p.LastReceived()), uint64(p.Unanswered()),
			uint64(p.Unreplied()), uint64(p.Endpoint().Remote.Port()), uint64(p.Purge()))
	}
	return list
}
