package yield

import (
	"testing"
	"testing/synctest"
	"time"
)

// Work that takes long is interrupted by a pause, and short work is not.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		paused := func(work time.Duration, p *Pacer) bool {
			time.Sleep(work)
			before := time.Now()
			p.Pause()
			return time.Since(before) == pause
		}
		p := StartPacer()
		for i, want := range []bool{false, false, true, false, false, true} {
			if got := paused(maxWork/3+1, &p); got != want {
				t.Errorf("part %d: paused: %v, want %v", i, got, want)
			}
		}
		time.Sleep(maxWork)
		if p.Begin(); paused(maxWork-1, &p) {
			t.Error("it paused in work that has just begun")
		}
		if took := time.Since(begin); took > 6*maxWork {
			t.Errorf("all of it took %v", took)
		}
	})
}
