package serve

import (
	"context"
	"fmt"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
)

// A client answers an initiation only if its timestamp is greater than all before, whichever
// gateway they came from. So the timestamps of all gateways follow the clock that is ahead of
// the others. They know it from the ceiling in the store: whoever has used most of what is
// below it raises it to ceilingLead from its own time, and so the others know that time, as
// soon as they see that the ceiling has risen.
const (
	ceilingLead  = 30 * time.Second
	ceilingPause = time.Second // between two looks at the ceiling
	ceilingTime  = 2 * time.Second
	// followPace is by how much a clock that follows another is slower than time, so that all
	// gateways come back to their own clocks if the one that was ahead is right again.
	followPace = 16
	// toleratedLag is what an operator need not know.
	toleratedLag = time.Second
	// floorPause is the time between two floors for daemons that are lent no peers meanwhile.
	floorPause = 10 * time.Second
	// maxFollowed is a little less than what a daemon accepts.
	maxFollowed = conf.MaxFloorAhead - time.Minute
)

// A stampClock is the time of the timestamps: that of this computer, or that of the gateway
// whose clock is ahead.
type stampClock struct {
	now func() time.Time // of this computer

	mu     sync.Mutex
	other  time.Time // what the clock ahead showed when the clock of this computer showed seen; zero: not known
	seen   time.Time
	before time.Time // timestamps up to this time may have been used before this program was started
	looked bool
}

// at returns what the clock shows when that of this computer shows now. The caller holds mu.
func (c *stampClock) at(now time.Time) time.Time {
	own := now.Round(0) // without the monotonic clock, because other has none
	if c.other.IsZero() {
		return own
	}
	passed := now.Sub(c.seen) // on the monotonic clock, so that it does not matter if the other one is set
	followed := c.other.Add(passed - passed/followPace)
	switch ahead := followed.Sub(own); {
	case ahead > maxFollowed: // the clock of this computer was set back since
		c.other = time.Time{}
		return own
	case ahead > 0:
		return followed
	}
	return own
}

// time returns what the clock shows.
func (c *stampClock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(c.now())
}

// saw takes a ceiling from the store. It returns by how much the clock of this computer is
// behind.
func (c *stampClock) saw(ceiling time.Time) (behind time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	own := now.Round(0)
	other := ceiling.Add(-ceilingLead)
	behind = other.Sub(own)
	if behind <= maxFollowed && other.After(c.at(now)) {
		c.other, c.seen = other, now
	}
	if !c.looked && behind > 0 && behind <= maxFollowed {
		// How old the ceiling is, is not known yet. Before it is raised, half of the lead is used.
		c.before = ceiling.Add(ceilingPause - ceilingLead/2)
	}
	c.looked = true
	return max(behind, c.at(now).Sub(own))
}

// floor returns what the timestamps of initiations must be above; nil: the clock of this
// computer will do.
func (c *stampClock) floor() *conf.Stamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	floor := c.at(now)
	if c.before.Sub(now.Round(0)) > maxFollowed {
		c.before = time.Time{}
	}
	if c.before.After(floor) {
		floor = c.before
	}
	if !floor.After(now.Round(0)) {
		return nil
	}
	stamp := conf.Stamp(wire.StampAt(floor))
	return &stamp
}

// keepCeiling raises the ceiling in the store ahead of the timestamps, and follows the clock
// that is ahead, until ctx ends.
func (s *Server) keepCeiling(ctx context.Context) {
	var last time.Time
	for {
		err := s.lookAtCeiling(ctx)
		s.mu.Lock()
		behind := s.behind
		s.mu.Unlock()
		switch {
		case err != nil:
			if ctx.Err() == nil { // whoever uses the store finds out if all of it fails
				s.complaints.add("ceiling", fmt.Sprintf("the ceiling of timestamps in the store cannot be read or raised: handshakes that other gateways begin may fail with peers that this one has reached: %v", err))
			}
		case behind > maxFollowed:
			s.complaints.add("clock", fmt.Sprintf("the store says that the clock of another gateway is %v ahead of the clock of this computer, which is too much to follow: "+
				"handshakes that this gateway begins may fail with peers that the other has reached: set the clocks of all gateways, by NTP for example, and then remove stamp_ceiling from the store", behind.Round(time.Second)))
		case behind > toleratedLag:
			s.complaints.add("clock", fmt.Sprintf("the clock of this computer is %v behind that of another gateway, whose timestamps it follows: set the clocks of all gateways, by NTP for example", behind.Round(100*time.Millisecond)))
		}
		if behind > toleratedLag && time.Since(last) >= floorPause {
			last = time.Now()
			for _, i := range s.interfaces {
				i.raiseFloor(ctx)
			}
		}
		if !sleep(ctx, ceilingPause) {
			return
		}
	}
}

// lookAtCeiling raises the ceiling if that is necessary.
func (s *Server) lookAtCeiling(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ceilingTime)
	defer cancel()
	now := s.clock.time()
	ceiling, err := s.store.RaiseCeiling(ctx, now.Add(ceilingLead/2), now.Add(ceilingLead))
	if err != nil {
		return err
	}
	behind := s.clock.saw(ceiling)
	s.mu.Lock()
	s.behind = behind
	s.mu.Unlock()
	return nil
}

// raiseFloor has the daemon use greater timestamps, also with peers that it has.
func (s *served) raiseFloor(ctx context.Context) {
	s.mu.Lock()
	connected := !s.connected.IsZero()
	s.mu.Unlock()
	floor := s.server.clock.floor()
	if !connected || floor == nil {
		return
	}
	if err := s.daemon.Apply(ctx, conf.Change{StampFloor: floor}); err != nil {
		s.server.complaints.add("floor", fmt.Sprintf("%s: the timestamps of handshakes cannot follow the clock of another gateway: %v", s.name, err))
	}
}
