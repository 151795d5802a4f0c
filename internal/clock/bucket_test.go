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

// Ready is the first moment at which Take has a token.
func TestBucketReady(t *testing.T) {
	const interval, burst = 10 * time.Millisecond, 3
	var b Bucket
	now := Time(1000 * time.Second)
	if at := b.Ready(burst, interval); at > now {
		t.Errorf("a full bucket is ready at %v", at)
	}
	for range burst {
		b.Take(now, burst, interval)
	}
	for range 5 {
		at := b.Ready(burst, interval)
		if early := b; early.Take(at-1, burst, interval) {
			t.Errorf("there is a token before %v", at)
		}
		if !b.Take(at, burst, interval) {
			t.Errorf("there is no token at %v", at)
		}
	}
}
