//go:build !linux

package clock

import (
	"time"

	"wgd/internal/clock"
)

var started = time.Now()

// monotonic counts from the start of the process; where the system's
// monotonic clock stops during suspend, so does this one.
func monotonic() clock.Time { return clock.Time(time.Since(started)) }
