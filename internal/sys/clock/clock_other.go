//go:build !linux

package clock

import (
	"time"

	"wgd/internal/clock"
)

// monotonic returns the time since the start of the process. On systems whose
// monotonic clock stops during suspend, so does this one.
func monotonic(now time.Time) clock.Time { return clock.Time(now.Sub(started)) }
