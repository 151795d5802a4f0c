package metrics

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func goVersion() string { return runtime.Version() }

// activeNow is whether the handshake of site is recent.
func activeNow() string {
	if time.Since(time.Unix(1_795_937_401, 0)) < sessionTime {
		return "1"
	}
	return "0"
}

// An answer is kept for a second, and longer if it took long to read.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for took, kept := range map[time.Duration]time.Duration{
			0: minAge, 10 * time.Millisecond: minAge, 300 * time.Millisecond: 6 * time.Second, 5 * time.Second: maxAge,
		} {
			reads := 0
			var c cache[int]
			get := func() int {
				return c.get(func() int {
					reads++
					time.Sleep(took)
					return reads
				})
			}
			get()
			time.Sleep(kept - 1)
			if got := get(); got != 1 {
				t.Errorf("%v: read again after %v", took, kept-1)
			}
			time.Sleep(time.Nanosecond)
			if got := get(); got != 2 {
				t.Errorf("%v: not read again after %v", took, kept)
			}
		}
	})
}
