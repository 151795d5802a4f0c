package lanes

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"wgd/internal/asynctest"
	systemclock "wgd/internal/sys/clock"
)

// The counters count the current goroutines and queues of each direction, and
// return to zero when all have ended.
func TestCounters(t *testing.T) {
	var running sync.WaitGroup
	c := &Counters{}
	r := New(Options{
		Counters: c,
		Spread:   func() SpreadPolicy { return FixedSpread(3) },
		Scaler:   func(int) QueueScaler { return wanted(func() int { return 4 }) },
	}, systemclock.Now, slog.New(slog.DiscardHandler), &running)
	s := &numberSource{t: t, endless: true, pause: noSleep, closed: make(chan struct{})}
	running.Go(func() { r.Run(Out, Source{NewHandler: s.newHandler}) })
	q := &fullQueues{running: &running}
	running.Go(func() { r.RunQueues(In, q, 4) })
	now := func() [4]int {
		return [4]int{
			c.Out.Goroutines.Stats().Now, c.Out.Queues.Stats().Now,
			c.In.Goroutines.Stats().Now, c.In.Queues.Stats().Now,
		}
	}
	asynctest.Eventually(t, "three goroutines out, and in four queues with three each", func() bool {
		return now() == [4]int{3, 0, 12, 4}
	})
	close(s.closed)
	q.closed.Store(true)
	asynctest.Within(t, asynctest.Timeout, "the end", running.Wait)
	if n := now(); n != [4]int{} {
		t.Errorf("after the end the counters have %v, want zeros", n)
	}
}

// Every decision is logged with its reason and the outcomes of the trials so far.
func TestDecisionsAreLogged(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := New(Options{}, systemclock.Now, log, nil)
	r.note(Out, "queues", &r.options.Counters.Out.Queues, decision{number: 2, reason: SmallPacketsWait, trial: trialBegins})
	r.note(Out, "queues", &r.options.Counters.Out.Queues, decision{number: 1, reason: Refused, trial: trialFailed, err: errors.New("no more")})
	for _, want := range []string{
		`msg="number of queues" direction=out queues=2 reason="small packets of several flows wait, and a core is idle" tried=1 kept=0 failed=0`,
		`msg="number of queues" direction=out queues=1 reason="the system refuses more" tried=1 kept=0 failed=1 err="no more"`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log lacks the line %s:\n%s", want, text.String())
		}
	}
}

// Each reason has a distinct text.
func TestReasons(t *testing.T) {
	seen := map[string]bool{Reason(-1).String(): true}
	for r := range reasonCount {
		if seen[r.String()] {
			t.Errorf("reason %d has the text of another one: %q", r, r)
		}
		seen[r.String()] = true
	}
}
