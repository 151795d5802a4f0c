package engine

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/state"
	"wgd/internal/sys/udp/udptest"
	"wgd/internal/wire"
	"wgd/key"
)

// fakeStamps are Stamps in memory. Writes wait for gate, and may fail.
type fakeStamps struct {
	gate chan struct{} // writes wait until it is closed; nil: they do not wait

	mu       sync.Mutex
	failure  error
	ceilings []wire.TAI64N
	accepted map[key.Public]wire.TAI64N
	last     wire.TAI64N
	closed   bool
	behind   bool
}

func (l *fakeStamps) wait() error {
	if l.gate != nil {
		<-l.gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

func (l *fakeStamps) Reserve(ceiling wire.TAI64N) error {
	err := l.wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ceilings = append(l.ceilings, ceiling)
	l.behind = err != nil
	return err
}

func (l *fakeStamps) Accepted(from key.Public, stamp wire.TAI64N) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.accepted == nil {
		l.accepted = map[key.Public]wire.TAI64N{}
	}
	l.accepted[from] = stamp
}

func (l *fakeStamps) Forget(from key.Public) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.accepted, from)
}

func (l *fakeStamps) Flush(now clock.Time) (clock.Time, error) {
	err := l.wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.behind = l.behind && err != nil; err != nil {
		return now.Add(time.Millisecond), err
	}
	return clock.Never, nil
}

func (l *fakeStamps) Close(last wire.TAI64N) error {
	err := l.wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.closed = last, true
	return err
}

// A20, A21: the ceiling is reserved before a stamp is used; accepted stamps are
// recorded even if the engine closes at once; Close gets the last stamp sent.
func TestStamps(t *testing.T) {
	for range 20 {
		stamps := &fakeStamps{}
		_, a, b := pair(t, func(w *World) { w.Stamps = stamps })
		b.follows.Store(a)
		a.deliver(b, "hello")         // a initiates
		b.deliver(a, "well received") // or a would initiate again
		a.ahead.Add(int64(200 * time.Second))
		b.inject(a, "hello yourself") // b does
		eventually(t, "b's stamp is accepted", func() bool {
			return b.peer().Sessions().Sending() != nil && b.peer().Sessions().Sending().Initiator
		})
		a.Close()
		stamps.mu.Lock()
		if len(stamps.ceilings) == 0 || !stamps.closed || stamps.last.IsZero() {
			t.Fatalf("%+v", stamps)
		}
		if stamps.last.After(stamps.ceilings[len(stamps.ceilings)-1]) {
			t.Error("a stamp above the ceiling was used")
		}
		if stamps.accepted[b.public].IsZero() {
			t.Error("an accepted stamp is lost")
		}
		stamps.mu.Unlock()
		b.Close()
	}
}

// A21: a disk that does not respond delays neither handshakes nor data, and Close
// only for a limited time.
func TestStampsOnABlockedDisk(t *testing.T) {
	stamps := &fakeStamps{gate: make(chan struct{})}
	defer close(stamps.gate)
	_, a, b := pair(t, func(w *World) { w.Stamps = stamps })
	b.follows.Store(a)
	a.deliver(b, "hello")
	b.deliver(a, "hello yourself")
	for range 3 { // handshakes in both directions
		a.ahead.Add(int64(200 * time.Second))
		b.deliver(a, "again")
		a.deliver(b, "and again")
	}
	within(t, stampCloseTimeout+patience, "Close", a.Close)
}

// lines collects a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// Successive write failures are logged once, and so is the recovery.
func TestStampFailureIsLoggedOnce(t *testing.T) {
	stamps := &fakeStamps{failure: errors.New("no space left on device"), behind: true}
	log := &lines{}
	_, a, b := pair(t, func(w *World) {
		w.Stamps, w.Log = stamps, slog.New(slog.NewTextHandler(log, nil))
	})
	a.deliver(b, "hello")
	time.Sleep(50 * time.Millisecond) // many attempts
	if n := log.count("not saved"); n != 1 {
		t.Errorf("the failure was logged %d times, want once", n)
	}
	stamps.mu.Lock()
	stamps.failure = nil
	stamps.mu.Unlock()
	eventually(t, "the recovery is logged", func() bool { return log.count("saved again") == 1 })
}

// A20, B51: after a restart, stamps are above those sent before, even if the clock
// was set back.
func TestStampsOverRestart(t *testing.T) {
	dir := t.TempDir()
	net := udptest.NewNet()
	b := newSite(t, net, 2)
	b.up()
	private, public := newKey(t)
	for run, ahead := range []time.Duration{30 * 24 * time.Hour, 0, -24 * time.Hour} {
		stamps, saved, err := state.Open(dir, "wg1")
		if err != nil || saved.Warning != "" {
			t.Fatal(err, saved.Warning)
		}
		a := newSiteAfter(t, net, 1, Memory{Ceiling: saved.Ceiling, Received: saved.Received}, func(w *World) {
			w.Stamps = stamps
			now := w.Clock
			w.Clock = func() clock.Now { n := now(); n.Wall = n.Wall.Add(ahead); return n }
		})
		a.private, a.public = private, public
		a.apply(conf.Change{PrivateKey: &private})
		a.up()
		if run == 0 {
			b.apply(peers(a.asPeer()))
		}
		a.apply(peers(b.asPeer()))
		b.ahead.Add(int64(time.Minute)) // A19
		a.deliver(b, "run")
		a.Close()
	}
}
