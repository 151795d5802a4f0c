package lanestest

import (
	"testing"

	"wgd/internal/lanes"
)

// A test may ask for any number; it gets as many as there can be.
func TestQueues(t *testing.T) {
	want := 0
	s := Queues(func() int { return want })(4)
	for want = range 6 {
		if got := s.Review(1, lanes.Totals{}); got != min(max(want, 1), 4) {
			t.Errorf("%d for %d", got, want)
		}
	}
}
