// Package clock has the two times the protocol needs and reads neither: the
// monotonic one that ages are measured on, and the wall time that an
// initiation carries.
package clock

import (
	"math"
	"time"
)

// Time is a reading, in nanoseconds, of a monotonic clock that goes on while
// the machine sleeps (A39: CLOCK_BOOTTIME on Linux). The zero Time means "has
// not happened"; a clock must never give it as a reading.
type Time int64

// Never is later than every reading.
const Never Time = math.MaxInt64

// Add returns t+d, and Never where that is out of range.
func (t Time) Add(d time.Duration) Time {
	if d > 0 && t > Never-Time(d) {
		return Never
	}
	return t + Time(d)
}

// Sub returns the time that passed from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Now is one look at both clocks.
type Now struct {
	Mono Time      // for ages and timers
	Wall time.Time // for the TAI64N stamp and for people
}
