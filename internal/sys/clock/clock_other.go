//go:build !linux

package clock

import (
	"errors"
	"time"

	"wgd/internal/clock"
)

// monotonic returns the time since the start of the process. On systems whose
// monotonic clock stops during suspend, so does this one.
func monotonic(now time.Time) clock.Time { return clock.Time(now.Sub(started)) }

// WatchResume would tell when the computer was suspended.
func WatchResume(func(slept time.Duration)) (stop func(), err error) {
	return nil, errors.ErrUnsupported
}
