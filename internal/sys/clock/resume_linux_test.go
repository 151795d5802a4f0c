package clock

import (
	"errors"
	"slices"
	"testing"
	"time"

	"wgd/internal/asynctest"
)

// A39: each suspend is reported, with its time. A wall clock that somebody has set is
// not mistaken for one.
func TestResumeIsReported(t *testing.T) {
	w, c := newFakeClocks()
	steps := []func(){
		func() { w.wall += int64(time.Hour) }, // set forward
		func() { w.suspend(time.Minute) },
		func() { w.wall -= int64(24 * time.Hour) },
		func() { w.advance(time.Hour) },
		func() { w.suspend(9 * time.Hour) },
		func() { w.suspend(time.Second) },
	}
	var reported []time.Duration
	watchResume(c.bootOffset, func() error {
		if len(steps) == 0 {
			return errors.New("closed")
		}
		steps[0]()
		steps = steps[1:]
		return nil
	}, func(slept time.Duration) { reported = append(reported, slept) })
	if want := []time.Duration{time.Minute, 9 * time.Hour, time.Second}; !slices.Equal(reported, want) {
		t.Errorf("reported %v, want %v", reported, want)
	}
}

// The kernel accepts the timer; stop ends the goroutine and closes the file.
func TestWatchResumeStops(t *testing.T) {
	check := asynctest.CheckLeaks(t)
	stop, err := WatchResume(func(slept time.Duration) { t.Logf("suspended for %v", slept) })
	if err != nil {
		t.Fatal(err)
	}
	stop()
	check()
}
