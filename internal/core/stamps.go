package core

import (
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/invalid"
	"wgd/internal/wire"
	"wgd/key"
)

// The durable ceiling is ahead of the stamps, and is raised when a third of the
// lead is left (A20). After a crash, the stamps of the next process begin at the
// ceiling. Several crashes in a row must not put the stamps far ahead of the
// clock. Therefore a process reserves no further ahead of the clock than its own
// age; if its stamps are already ahead, it reserves only reserveAbove beyond them.
// So each crash adds little, and while a process runs, the clock catches up.
const (
	minReserve   = 6 * time.Second // longer than the time between initiations to a peer that does not answer
	maxReserve   = time.Minute
	reserveAbove = 250 * time.Millisecond // above the last stamp: 15 more initiations to the same peer
)

// stamps holds our own stamps, and those received from peers that are not
// configured now (§5.1).
type stamps struct {
	last     wire.TAI64N // the greatest of ours, or of the previous process
	burnt    bool        // no peer has last: the next stamp must be above it
	ceiling  wire.TAI64N // durable, or being written
	begun    clock.Time  // when the first ceiling was reserved
	received map[key.Public]wire.TAI64N
}

func newStamps(ceiling wire.TAI64N, received map[key.Public]wire.TAI64N) stamps {
	s := stamps{last: ceiling, burnt: true, ceiling: ceiling, received: make(map[key.Public]wire.TAI64N, len(received))}
	for public, stamp := range received {
		s.received[public] = stamp
	}
	return s
}

// take returns the greatest stamp that an earlier process accepted from a peer,
// and deletes it.
func (s *stamps) take(public key.Public) wire.TAI64N {
	stamp := s.received[public]
	delete(s.received, public)
	return stamp
}

// burn keeps a stamp that was sent to a peer from being used again after the peer
// is removed.
func (s *stamps) burn(stamp wire.TAI64N) {
	if stamp == s.last {
		s.burnt = true
	}
}

// nextStamp returns the stamp of a new initiation to p: the wall time, but never
// below any stamp of ours, and always above those sent to p (A17, A20). Two peers
// may get the same stamp, because each compares only with its own; otherwise a
// storm of initiations would put the stamps ahead of the clock.
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

// reserveStamps raises the ceiling well before the stamps reach it.
func (m *Machine) reserveStamps(now clock.Now) {
	s := &m.stamps
	if s.begun == 0 {
		s.begun = now.Mono
	}
	ahead := min(max(now.Mono.Sub(s.begun), minReserve), maxReserve)
	if !s.later(now, ahead/3, reserveAbove/3).After(s.ceiling) {
		return
	}
	s.ceiling = s.later(now, ahead, reserveAbove)
	m.emit(Output{Kind: Reserve, Stamp: s.ceiling})
}

// checkFloor returns an error if a floor is too far ahead of the clock.
func checkFloor(now clock.Now, floor *conf.Stamp) error {
	if floor == nil || !wire.TAI64N(*floor).After(wire.StampAt(now.Wall.Add(conf.MaxFloorAhead))) {
		return nil
	}
	return invalid.Errorf("stamp_floor: %v is more than %v ahead of the clock of this computer: set the clocks of all gateways, by NTP for example", floor, conf.MaxFloorAhead)
}

// applyFloor makes our next stamps greater than floor.
func (m *Machine) applyFloor(now clock.Now, floor *conf.Stamp) {
	if floor == nil || wire.TAI64N(*floor).Compare(m.stamps.last) < 0 {
		return
	}
	m.stamps.last, m.stamps.burnt = wire.TAI64N(*floor), true
	if m.up {
		m.reserveStamps(now) // or else Up does
	}
}

// later returns the stamp of the time ahead from now, or our last stamp plus
// above, whichever is greater.
func (s *stamps) later(now clock.Now, ahead, above time.Duration) wire.TAI64N {
	stamp := wire.StampAt(now.Wall.Add(ahead))
	if floor := s.last.Add(above); floor.After(stamp) {
		return floor
	}
	return stamp
}

// LastStamp returns the greatest stamp of an initiation, by this process or
// earlier ones. An orderly shutdown saves it in place of the ceiling.
func (m *Machine) LastStamp() wire.TAI64N { return m.stamps.last }

// accept records a stamp of p, which is greater than all before.
func (m *Machine) accept(p *member, stamp wire.TAI64N) {
	p.accepted = stamp
	m.emit(Output{Kind: Accepted, PublicKey: p.public(), Stamp: stamp})
}

// forget emits Forget for a removed peer, if it had a stamp (A21).
func (m *Machine) forget(public key.Public, accepted wire.TAI64N) {
	if !accepted.IsZero() {
		m.emit(Output{Kind: Forget, PublicKey: public})
	}
}
