// Package lanestest provides a queue scaler whose number of queues a test sets.
package lanestest

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/lanes"
)

// Queues returns a value for lanes.Options.Scaler. The scaler calls n every few
// milliseconds and sets the number of queues to the result, between 1 and the
// limit.
func Queues(n func() int) func(limit int) lanes.QueueScaler {
	return func(limit int) lanes.QueueScaler { return scaler{n, limit} }
}

type scaler struct {
	n     func() int
	limit int
}

func (s scaler) Review(clock.Time, lanes.Totals) int { return min(max(s.n(), 1), s.limit) }

func (scaler) Interval() time.Duration { return 2 * time.Millisecond }

func (scaler) Resized(clock.Time, lanes.Totals, int, error) {}
