//go:build linux

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

// While systemd-resolved is to have the name servers of the tunnel, one that has lost them
// gets them again, when Keep begins or when it is started. One that has some is left alone:
// a hook may have changed them. Nothing is watched before and after.
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
		fake.mu.Lock()
		defer fake.mu.Unlock()
		f()
	}
	// starts starts systemd-resolved again, and returns when Keep has noticed.
	starts := func() {
		t.Helper()
		want := fake.handled.Load() + 1
		fake.started <- true
		until(t, "noticed", func() bool { return fake.handled.Load() == want })
	}
	must(t, s.set("wg1", dns("10.3.0.1")), s.set("wg0", dns("10.2.0.1")))
	until(t, "watched", func() bool { return fake.watchers.Load() == 1 })
	starts()
	locked(func() {
		if fake.calls != 2 || len(reports) > 0 {
			t.Errorf("%d calls, %d reports: the name servers were set again, although they were there", fake.calls, len(reports))
		}
		fake.links = map[int]resolved.Link{}
	})
	starts()
	if r := <-reports; r.done == "" || r.err != nil {
		t.Errorf("%+v", r)
	}
	locked(func() {
		if len(fake.links) != 1 || fake.links[7].Index != 7 {
			t.Errorf("set: %v", fake.links)
		}
		fake.links, fake.refuses = map[int]resolved.Link{}, os.ErrPermission
	})
	starts()
	if r := <-reports; !errors.Is(r.err, os.ErrPermission) {
		t.Errorf("%+v", r)
	}
	must(t, s.Unset("wg0"))
	until(t, "not watched", func() bool { return fake.watchers.Load() == 0 })

	// One that has lost them before it is watched.
	locked(func() { fake.refuses, fake.deaf = nil, 1 })
	must(t, s.set("wg0", dns("10.2.0.2")))
	if r := <-reports; r.done == "" || r.err != nil {
		t.Errorf("lost at once: %+v", r)
	}
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

// What another way holds is not given to systemd-resolved when it is started: wgd up may
// have changed the record since Keep read it.
func TestAgainOnlyWhatItHolds(t *testing.T) {
	s, fake := newResolved(t)
	must(t, s.set("wg0", dns("10.2.0.1")))
	r, err := s.load("wg0")
	must(t, err)
	r.By = byFile
	must(t, s.save("wg0", r))
	fake.links = map[int]resolved.Link{}
	if set, err := s.again("wg0"); set || err != nil || len(fake.links) > 0 {
		t.Errorf("set again: %t, %v, %v", set, err, fake.links)
	}
}
