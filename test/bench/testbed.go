package main

import (
	"time"

	"wgd/test/lab"
)

// testbed is where one program is measured: hosts that are made when a workload
// needs them first, and kept for all rounds.
type testbed struct {
	program string
	nice    int // of the daemons' sessions
	pair    *pair
	peers   *handshakePair
}

// tunnel is two hosts with a tunnel between them.
func (s *testbed) tunnel(t lab.T) *pair {
	if s.pair == nil {
		s.pair = newPair(t, s.program, s.nice)
	}
	return s.pair
}

// crowd is a host with a daemon, and one from which a crowd of peers can be played.
func (s *testbed) handshakes(t lab.T) *handshakePair {
	if s.peers == nil {
		s.peers = newHandshakePair(t, s.program, s.nice)
	}
	return s.peers
}

// cpu is the processor time that the testbed's daemons have used.
func (s *testbed) cpu() (sum time.Duration) {
	if s.pair != nil {
		sum += s.pair.cpu()
	}
	if s.peers != nil {
		sum += s.peers.daemon.Stat().CPU
	}
	return sum
}
