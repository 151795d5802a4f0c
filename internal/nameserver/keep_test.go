package nameserver

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"wgd/internal/sys/resolved"
)

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// While systemd-resolved has the name servers of the tunnel, one that was started again
// gets them again. The first one, which has them, is left alone: a hook may have changed
// them. Nothing is watched before and after.
func TestKeep(t *testing.T) {
	s, fake := newResolved(t)
	must(t, s.Recover())
	ctx, cancel := context.WithCancel(t.Context())
	type result struct {
		done string
		err  error
	}
	reports, ended := make(chan result, 9), make(chan bool)
	go func() {
		s.Keep(ctx, "wg0", func(done string, err error) { reports <- result{done, err} })
		ended <- true
	}()
	// locked accesses the fake while Keep does not.
	locked := func(f func()) {
		unlock, err := s.lock()
		must(t, err)
		f()
		unlock()
	}
	must(t, s.set("wg1", dns("10.3.0.1")), s.set("wg0", dns("10.2.0.1")))
	until(t, "watched", func() bool { return fake.watchers.Load() == 1 })
	locked(func() {
		if fake.calls != 2 {
			t.Errorf("%d calls: the name servers were set again for no reason", fake.calls)
		}
		fake.links = map[int]resolved.Link{}
	})
	fake.started <- true
	if r := <-reports; r.done == "" || r.err != nil {
		t.Errorf("%+v", r)
	}
	locked(func() {
		if len(fake.links) != 1 || fake.links[7].Index != 7 {
			t.Errorf("set: %v", fake.links)
		}
		fake.refuses = os.ErrPermission
	})
	fake.started <- true
	if r := <-reports; !errors.Is(r.err, os.ErrPermission) {
		t.Errorf("%+v", r)
	}
	must(t, s.Unset("wg0"))
	until(t, "not watched", func() bool { return fake.watchers.Load() == 0 })
	locked(func() { fake.refuses = nil })
	must(t, s.set("wg0", dns("10.2.0.2")))
	until(t, "watched again", func() bool { return fake.watchers.Load() == 1 })
	cancel()
	<-ended
	until(t, "not watched after the end", func() bool { return fake.watchers.Load() == 0 })
	if len(reports) > 0 {
		t.Errorf("reported besides: %+v", <-reports)
	}
}

// A daemon that wgd up did not start has no records to watch.
func TestKeepNothing(t *testing.T) {
	s, _ := newResolved(t)
	s.Keep(t.Context(), "wg0", func(done string, err error) { t.Errorf("%q, %v", done, err) })
}
