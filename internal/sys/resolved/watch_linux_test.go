package resolved

import (
	"context"
	"testing"
	"time"

	"wgd/internal/asynctest"
)

// watch runs Watch. It returns the reports, and a function that ends Watch.
func watch(t *testing.T) (started <-chan struct{}, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reports, done := make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, func() { reports <- struct{}{} })
	}()
	return reports, func() {
		cancel()
		<-done
	}
}

// must waits for a report.
func must(t *testing.T, started <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-started:
	case <-time.After(asynctest.Timeout):
		t.Fatalf("not reported: %s", what)
	}
}

// Watch reports the systemd-resolved that is running, each one that is started later, and
// one on a bus that was started again. It reports each of them once.
func TestWatch(t *testing.T) {
	b := newBus(t, "")
	f := newFake(t)
	check := asynctest.CheckLeaks(t)
	started, end := watch(t)
	must(t, started, "the first one")
	for range 3 {
		f.end()
		f = newFake(t)
		must(t, started, "one that was started again")
	}
	for range 2 {
		b.stop()
		b.start()
		f = newFake(t)
		must(t, started, "one on a bus that was started again")
	}
	f.end()
	newFake(t)
	must(t, started, "one that was started again after the bus")
	end()
	if n := len(started); n > 0 {
		t.Errorf("%d more reports", n)
	}
	check()
}

// What is started while a report is handled is reported after it, but only the last one.
func TestWatchWhileBusy(t *testing.T) {
	newBus(t, "")
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	reports, goOn, done := make(chan struct{}, 100), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, func() {
			reports <- struct{}{}
			<-goOn
		})
	}()
	must(t, reports, "the first one")
	for range 3 {
		f.end()
		f = newFake(t)
	}
	close(goOn)
	must(t, reports, "the last one")
	time.Sleep(50 * time.Millisecond) // for reports that should not come
	f.end()
	newFake(t)
	must(t, reports, "one after that")
	cancel()
	<-done
	if n := len(reports); n > 0 {
		t.Errorf("%d more reports", n)
	}
}

// Watch waits for a bus, and for a systemd-resolved on it. It ends while it waits.
func TestWatchBegins(t *testing.T) {
	b := newBus(t, "")
	b.stop()
	check := asynctest.CheckLeaks(t)
	_, end := watch(t)
	end() // without a bus
	started, end := watch(t)
	b.start()
	newFake(t)
	must(t, started, "the first one")
	end()
	b.stop()
	check()
}
