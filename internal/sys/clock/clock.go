// Package clock reads the monotonic clock and the wall clock of this machine. No
// other package of the program does; all others receive the time as an argument.
package clock

import (
	"time"

	"wgd/internal/clock"
)

// Now returns the time of both clocks: the monotonic one, which includes the time
// that the machine was suspended (A39), and the wall clock. It fits World.Clock of
// package engine.
func Now() clock.Now {
	now := time.Now()
	return clock.Now{Mono: max(monotonic(now), 1), Wall: now.Round(0)}
}

var started = time.Now()
