// Package lanestest decides numbers of queues as a test wants them.
package lanestest

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/lanes"
)

// Queues is for lanes.Options.Scaler. It calls n again and again, every few
// milliseconds, and has as many queues as n returns, if that many are possible.
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
