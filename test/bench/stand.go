package main

import (
	"time"

	"wgd/test/lab"
)

// stand is where one program is measured: hosts that are made when a trial
// needs them first, and kept for all rounds.
type stand struct {
	program string
	nice    int // of the daemons' sessions
	pair    *pair
	crowded *crowded
}

// tunnel is two hosts with a tunnel between them.
func (s *stand) tunnel(t lab.T) *pair {
	if s.pair == nil {
		s.pair = newPair(t, s.program, s.nice)
	}
	return s.pair
}

// crowd is a host with a daemon, and one from which a crowd of peers can be played.
func (s *stand) crowd(t lab.T) *crowded {
	if s.crowded == nil {
		s.crowded = newCrowded(t, s.program, s.nice)
	}
	return s.crowded
}

// cpu is the processor time that the stand's daemons have used.
func (s *stand) cpu() (sum time.Duration) {
	if s.pair != nil {
		sum += s.pair.cpu()
	}
	if s.crowded != nil {
		sum += s.crowded.daemon.Stat().CPU
	}
	return sum
}
