//go:build !linux

package clock

import (
	"time"

	"wgd/internal/clock"
)

// monotonic counts from the start of the process; where the system's
// monotonic clock stops during suspend, so does this one.
func monotonic(now time.Time) clock.Time { return clock.Time(now.Sub(started)) }
