package core

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// The durable ceiling lies ahead of the stamps, and is renewed when a third of
// that is left (A20). A process that dies leaves all of it to the next one, whose
// stamps begin there. So that those do not run away from the clock when processes
// die in a row, a process reserves no further ahead of the clock than it has
// lived; and where its stamps are ahead already, hardly any further than they are.
// Then each death adds that little, and while the process lives the clock gains
// on its stamps.
const (
	reserveLeast = 6 * time.Second // more than until the next initiation to a peer that does not answer
	reserveMost  = time.Minute
	reserveAbove = 250 * time.Millisecond // the last stamp: 15 more initiations to the same peer
)

// stamps are what initiations carry to be told from their replays (§5.1): our
// own, and those received from peers that are not configured (any more, or
// yet).
type stamps struct {
	last     wire.TAI64N // the greatest of ours, or of the process before
	burnt    bool        // last belongs to nobody now: the next must be above it
	ceiling  wire.TAI64N // what is durable, or on its way
	begun    clock.Time  // the first ceiling was reserved
	received map[key.Public]wire.TAI64N
}

func newStamps(ceiling wire.TAI64N, received map[key.Public]wire.TAI64N) stamps {
	s := stamps{last: ceiling, burnt: true, ceiling: ceiling, received: make(map[key.Public]wire.TAI64N, len(received))}
	for public, stamp := range received {
		s.received[public] = stamp
	}
	return s
}

// take is the greatest stamp that an earlier process accepted from a peer.
func (s *stamps) take(public key.Public) wire.TAI64N {
	stamp := s.received[public]
	delete(s.received, public)
	return stamp
}

// burn keeps a stamp of ours from being used again when who had it is forgotten.
func (s *stamps) burn(stamp wire.TAI64N) {
	if stamp == s.last {
		s.burnt = true
	}
}

// nextStamp is the stamp of a new initiation to p: the wall time, but never
// below any stamp of ours, and always above those that p was sent (A17, A20).
// Two peers may get the same one: each compares with its own only, and a storm
// of initiations does not run ahead of the clock.
func (m *Machine) nextStamp(now clock.Now, p *member) wire.TAI64N {
	s := &m.stamps
	stamp := wire.StampAt(now.Wall)
	if !stamp.After(s.last) {
		stamp = s.last
		if s.burnt || !stamp.After(p.stamp) {
			stamp = stamp.Next()
		}
	}
	if stamp.After(s.last) {
		s.last, s.burnt = stamp, false
	}
	p.stamp = stamp
	m.reserveStamps(now)
	return stamp
}

// reserveStamps has the ceiling moved well before the stamps reach it.
func (m *Machine) reserveStamps(now clock.Now) {
	s := &m.stamps
	if s.begun == 0 {
		s.begun = now.Mono
	}
	ahead := min(max(now.Mono.Sub(s.begun), reserveLeast), reserveMost)
	if !s.later(now, ahead/3, reserveAbove/3).After(s.ceiling) {
		return
	}
	s.ceiling = s.later(now, ahead, reserveAbove)
	m.emit(Output{Kind: Reserve, Stamp: s.ceiling})
}

// later is a stamp so far ahead of the clock, and at least so far above the last
// of ours.
func (s *stamps) later(now clock.Now, ahead, above time.Duration) wire.TAI64N {
	stamp := wire.StampAt(now.Wall.Add(ahead))
	if least := s.last.Add(above); least.After(stamp) {
		return least
	}
	return stamp
}

// LastStamp is the greatest stamp given to an initiation, by this process or,
// when it gave none, the ones before: what an orderly shutdown writes down in
// place of the ceiling.
func (m *Machine) LastStamp() wire.TAI64N { return m.stamps.last }

// accept notes a stamp of p, which is greater than all before.
func (m *Machine) accept(p *member, stamp wire.TAI64N) {
	p.accepted = stamp
	m.emit(Output{Kind: Accepted, PublicKey: p.public(), Stamp: stamp})
}

// forget is for a peer that is removed (A21).
func (m *Machine) forget(public key.Public, accepted wire.TAI64N) {
	if !accepted.IsZero() {
		m.emit(Output{Kind: Forget, PublicKey: public})
	}
}
