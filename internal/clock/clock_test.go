package clock

import (
	"math"
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	for _, c := range []struct {
		t    Time
		d    time.Duration
		want Time
	}{
		{5, 7, 12},
		{5, -3, 2},
		{0, 0, 0},
		{Never, 0, Never},
		{Never, 1, Never},
		{Never - 5, 5, Never},
		{Never - 5, 6, Never},
		{1, math.MaxInt64, Never},
		{Never, math.MaxInt64, Never},
	} {
		if got := c.t.Add(c.d); got != c.want {
			t.Errorf("%d + %d = %d, want %d", c.t, c.d, got, c.want)
		}
	}
	if got := Time(12).Sub(5); got != 7 {
		t.Errorf("12 - 5 = %d, want 7", got)
	}
	if got := Time(5).Sub(12); got != -7 {
		t.Errorf("5 - 12 = %d, want -7", got)
	}
}
