package lanestest

import (
	"testing"

	"wgd/internal/lanes"
)

// The scaler limits the number that a test requests to what is possible.
func TestQueues(t *testing.T) {
	want := 0
	s := Queues(func() int { return want })(4)
	for want = range 6 {
		if got := s.Review(1, lanes.Totals{}); got != min(max(want, 1), 4) {
			t.Errorf("Review returned %d for the request %d", got, want)
		}
	}
}
