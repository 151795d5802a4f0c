// Package clock reads the two clocks of this machine. It is the only place in
// the program that does; everything else is given the time.
package clock

import (
	"time"

	"wgd/internal/clock"
)

// Now looks at both clocks: the monotonic one that also counts the time the
// machine slept (A39), and the wall. It fits engine's World.Clock.
func Now() clock.Now {
	now := time.Now()
	return clock.Now{Mono: max(monotonic(now), 1), Wall: now.Round(0)}
}

var started = time.Now()
