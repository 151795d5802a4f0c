package serve

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wgd/conf"
	"wgd/internal/wire"
)

// another starts a server of the same store on another computer, whose clock is ahead by a
// duration.
func (b *bench) another(ahead time.Duration) (d *fakeDaemon, stop func()) {
	d = newFakeDaemon()
	d.start()
	server := New(b.store, Options{Lent: 300}, slog.New(slog.NewTextHandler(b.log, nil)), []string{"wg0"}, func(string) Daemon { return d })
	server.clock.now = func() time.Time { return time.Now().Add(ahead) }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); server.Run(ctx) }()
	synctest.Wait()
	return d, func() { cancel(); <-ended }
}

// stampOf has a daemon ask for a new peer, and returns the timestamp that it uses then at least.
func (b *bench) stampOf(d *fakeDaemon, n byte, behind time.Duration) string {
	b.t.Helper()
	return max(b.floorOf(d, n), stampAt(behind))
}

// floorOf has a daemon ask for a new peer, and returns the floor that it has then.
func (b *bench) floorOf(d *fakeDaemon, n byte) string {
	b.t.Helper()
	p := b.add(n)
	d.ask(p.PublicKey)
	b.until(p.Name+" is lent", func() bool { return d.has(p.PublicKey) })
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.floor
}

// stampAt returns the timestamp that a right clock gave some time ago.
func stampAt(ago time.Duration) string {
	return conf.Stamp(wire.StampAt(time.Now().Add(-ago))).String()
}

// The timestamps of a gateway whose clock is behind are above those that another one has used
// 3 seconds before, with every peer that it is lent: while both run, when the other one has
// died, and after a restart. They are not above those that the other one uses next.
func TestClockBehind(t *testing.T) {
	for name, behind := range map[string]time.Duration{"two seconds": 2 * time.Second, "an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, b *bench) {
				b.stop()
				time.Sleep(700 * time.Millisecond) // the ceiling is in whole seconds
				_, b.stop = b.another(0)
				time.Sleep(time.Minute)
				d, stop := b.another(-behind)
				if behind > time.Minute { // it cannot know how old the ceiling is
					if stamp := b.stampOf(d, 1, behind); stamp < stampAt(0) || stamp > stampAt(-ceilingLead/2-2*ceilingPause) {
						t.Errorf("at the start the timestamp is %s, and the other uses %s", stamp, stampAt(0))
					}
				}
				time.Sleep(ceilingLead)
				for n := byte(2); n < 40; n++ {
					time.Sleep(1700 * time.Millisecond)
					if stamp := b.stampOf(d, n, behind); n > 10 && (stamp < stampAt(3*time.Second) || stamp > stampAt(0)) {
						t.Errorf("the timestamp is %s, and the other uses %s", stamp, stampAt(0))
					}
				}
				last := stampAt(0)
				b.stop()
				time.Sleep(20 * time.Second)
				if stamp := b.stampOf(d, 40, behind); stamp <= last {
					t.Errorf("20 s after the other has used %s, the timestamp is %s", last, stamp)
				}
				stop()
				d, stop = b.another(-behind)
				defer stop()
				if stamp := b.stampOf(d, 41, behind); stamp <= last {
					t.Errorf("after a restart the timestamp is %s, and the other has used %s", stamp, last)
				}
				if !strings.Contains(b.log.String(), "s behind that of another gateway") {
					t.Errorf("nothing is said about the clock:\n%s", b.log)
				}
			})
		})
	}
}

// With clocks that are right, no daemon gets a floor, and the ceiling is written a few times
// in a minute, however many gateways there are.
func TestClocksAreRight(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		b.store.raises = 0
		var daemons []*fakeDaemon
		for range 2 {
			d, stop := b.another(0)
			defer stop()
			daemons = append(daemons, d)
		}
		for n := range byte(4) {
			time.Sleep(30 * time.Second)
			for i, d := range daemons {
				if floor := b.floorOf(d, 10*byte(i)+n); floor != "" {
					t.Errorf("gateway %d has the floor %s", i, floor)
				}
			}
		}
		if n := b.store.raises; n < 6 || n > 9 {
			t.Errorf("the ceiling was raised %d times in two minutes", n)
		}
		if strings.Contains(b.log.String(), "clock") {
			t.Errorf("the log has\n%s", b.log)
		}
	})
}

// A clock that was behind and is set needs no floor any more. When the one that was ahead is
// set back, all come back to their own clocks, slower than these.
func TestClockIsSet(t *testing.T) {
	begin := time.Now()
	now, set := begin, time.Duration(0)
	c := stampClock{now: func() time.Time { return now.Add(set) }}
	c.saw(begin.Add(10*time.Minute + ceilingLead))
	ahead := func(after time.Duration) time.Duration {
		now = begin.Add(after)
		return c.time().Sub(now.Round(0)).Round(time.Second)
	}
	for after, want := range map[time.Duration]time.Duration{0: 10 * time.Minute, 80 * time.Minute: 5 * time.Minute, 3 * time.Hour: 0} {
		if got := ahead(after); got != want {
			t.Errorf("after %v it is %v ahead, want %v", after, got, want)
		}
	}
	now = begin
	if c.floor() == nil {
		t.Error("there is no floor")
	}
	// The wall clock is set; the monotonic one, which Sub uses, goes on.
	c.now = func() time.Time { return now.Round(0).Add(time.Hour) }
	c.seen = c.seen.Round(0).Add(time.Hour)
	if floor := c.floor(); floor != nil {
		t.Errorf("the clock is right, and the floor is %v", floor)
	}
}

// All clocks were two days ahead, and are set back. A floor that a daemon refuses is never
// given, neither from the clock that was followed nor from the first ceiling, and when the
// ceiling is removed from the store, no restart is needed.
func TestAllClocksWereAhead(t *testing.T) {
	const ahead = 48 * time.Hour
	begin := time.Now()
	wrong := begin.Round(0).Add(ahead)
	now := wrong
	c := stampClock{now: func() time.Time { return now }}
	ceiling := wrong.Add(10*time.Minute + ceilingLead)
	c.saw(ceiling)
	if c.floor() == nil || c.before.IsZero() {
		t.Fatal("the other clock is not followed")
	}
	now, c.seen = begin.Round(0), c.seen.Add(-ahead) // as if on the monotonic clock, which goes on
	for range 2 {
		if floor := c.floor(); floor != nil {
			t.Errorf("the floor is %v", floor)
		}
		if got := c.time(); !got.Equal(now) {
			t.Errorf("the ceiling is raised from %v, and it is %v", got, now)
		}
		if behind := c.saw(ceiling); behind <= maxFollowed {
			t.Errorf("it is only %v behind", behind)
		}
	}
	if behind := c.saw(now.Add(ceilingLead)); behind > 0 {
		t.Errorf("the ceiling is right, and the clock is %v behind", behind)
	}
}

// What a clock that is more than a day ahead has written is not followed, and said. Peers are
// lent all the same.
func TestClockFarAhead(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		_, stop := b.another(366 * 24 * time.Hour)
		defer stop()
		time.Sleep(time.Minute)
		if floor := b.floorOf(b.daemon, 1); floor != "" {
			t.Errorf("the floor is %s", floor)
		}
		if want := "too much to follow"; !strings.Contains(b.log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, b.log)
		}
	})
}

// A ceiling that cannot be raised is said, and the store works otherwise.
func TestCeilingCannotBeRaised(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		b.store.mu.Lock()
		b.store.raiseErr = errors.New("the user may not write stamp_ceiling")
		b.store.mu.Unlock()
		b.lend(b.add(1))
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := b.server.reports()[0]; r.Failing != nil {
			t.Errorf("the store fails: %s", r.Failure)
		}
		if text := b.log.String(); strings.Contains(text, "the store fails") || !strings.Contains(text, "the user may not write stamp_ceiling") {
			t.Errorf("the log has\n%s", text)
		}
	})
}

// While the store fails, a clock that follows another one goes on.
func TestCeilingWithoutStore(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		d, stop := b.another(-time.Hour)
		defer stop()
		time.Sleep(time.Minute)
		b.store.fail(errDown)
		time.Sleep(10 * time.Minute)
		d.mu.Lock()
		floor := d.floor
		d.mu.Unlock()
		if floor < stampAt(time.Minute) {
			t.Errorf("the floor is %s, and a right clock shows %s", floor, stampAt(0))
		}
	})
}

// A daemon is told how many peers it may be lent, also after a restart.
func TestLentLimit(t *testing.T) {
	within(t, func(t *testing.T, b *bench) {
		for range 2 {
			b.until("the limit is set", func() bool { b.daemon.mu.Lock(); defer b.daemon.mu.Unlock(); return b.daemon.limit == 1000 })
			b.daemon.stop()
			b.daemon.limit = 0
			b.daemon.start()
		}
	})
}
