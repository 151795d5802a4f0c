package clock

import (
	"testing"
	"time"
)

// A full bucket allows a burst, then one token per interval. It never holds more
// than a burst, however long it is unused.
func TestBucket(t *testing.T) {
	const interval = 10 * time.Millisecond
	var b Bucket
	now := Time(1000 * time.Second)
	take := func() (n int) {
		for b.Take(now, 5, interval) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 5}, {0, 0}, {interval - 1, 0}, {1, 1}, {3*interval + interval/2, 3}, {interval / 2, 1}, {time.Hour, 5}, {2 * interval, 2}} {
		now = now.Add(c.after)
		if got := take(); got != c.want {
			t.Errorf("%v later: %d tokens, want %d", c.after, got, c.want)
		}
	}
}
