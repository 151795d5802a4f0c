package main

import (
	"time"

	"wgd/test/lab"
)

// A testbed has the hosts on which one program is measured. They are made when a
// workload first needs them, and kept for all rounds.
type testbed struct {
	program string
	nice    int // of the sessions of the daemons
	pair    *pair
	peers   *handshakePair
	third   *third

	stackA, stackB *lab.Host
}

// tunnel returns two hosts with a tunnel between them.
func (s *testbed) tunnel(t lab.T) *pair {
	if s.pair == nil {
		if s.program == nebulaName {
			s.pair = newNebulaPair(t, s.nice)
		} else {
			s.pair = newPair(t, s.program, s.nice)
		}
	}
	return s.pair
}

// handshakes returns a host with a daemon, and one where a worker can simulate many
// peers.
func (s *testbed) handshakes(t lab.T) *handshakePair {
	if s.peers == nil {
		s.peers = newHandshakePair(t, s.program, s.nice)
	}
	return s.peers
}

// cpu returns the processor time that the daemons have used.
func (s *testbed) cpu() (sum time.Duration) {
	if s.pair != nil {
		sum += s.pair.cpu()
	}
	if s.third != nil {
		sum += s.third.cpu()
	}
	if s.peers != nil {
		sum += s.peers.daemon.Stat().CPU
	}
	return sum
}
