// Package clock defines the two times that the protocol needs: monotonic time,
// by which ages are measured, and wall time, for the stamps of initiations. It
// reads no clock.
package clock

import (
	"math"
	"time"
)

// Time is a reading, in nanoseconds, of a monotonic clock that keeps counting
// while the computer is suspended (A39: CLOCK_BOOTTIME on Linux). The zero Time
// means "has not happened"; a clock must never return it as a reading.
type Time int64

// Never is later than every reading.
const Never Time = math.MaxInt64

// Add returns t+d, or Never if that is out of range.
func (t Time) Add(d time.Duration) Time {
	if d > 0 && t > Never-Time(d) {
		return Never
	}
	return t + Time(d)
}

// Sub returns the time that passed from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Now is one reading of both clocks.
type Now struct {
	Mono Time      // for ages and timers
	Wall time.Time // for the TAI64N stamp and for people
}
