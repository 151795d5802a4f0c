package engine

import (
	"fmt"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/lanes"
	"wgd/internal/session"
)

// spread makes each lane use n goroutines.
func spread(n int) func(*World) {
	return func(w *World) { w.Lanes.Spread = func() lanes.SpreadPolicy { return lanes.FixedSpread(n) } }
}

// If several goroutines process them, packets still arrive in their order, in both
// directions, with packets that are staged (A43) and across new sessions.
func TestSpreadInOrder(t *testing.T) {
	_, a, b := pair(t, spread(4))
	a.deliver(b, "hello") // otherwise too many packets would be staged
	number := 0
	for round := range 30 {
		from, to := a, b
		if round%2 == 1 {
			from, to = b, a
		}
		before := [2]*session.Keypair{a.peer().Sessions().Sending(), b.peer().Sessions().Sending()}
		const many = 200
		renew := round%10 == 4 // a round in which a sends, which has initiated
		for i := range many {
			from.inject(to, fmt.Sprintf("number %06d", number+i))
			if i == many/2 && renew {
				// A peer cannot stage both halves together.
				eventually(t, "the first half to be read", func() bool { return from.tun.Waiting() == 0 })
				from.sleep(121 * time.Second)
				to.sleep(121 * time.Second)
			}
		}
		for range many {
			if text := fmt.Sprintf("number %06d", number); !to.receives(text, patience) {
				t.Fatalf("%q did not arrive; drops there %v, here %v", text, to.Status().Drops, from.Status().Drops)
			}
			number++
		}
		if renew {
			a.deliver(b, "a new session, please")
			eventually(t, "a new session on both sides", func() bool {
				return a.peer().Sessions().Sending() != before[0] && b.peer().Sessions().Sending() != before[1]
			})
		}
	}
	a.checkNoLoss(t)
	b.checkNoLoss(t)
}

// checkNoLoss fails the test if packets were dropped that should have arrived.
func (s *site) checkNoLoss(t *testing.T) {
	t.Helper()
	for _, reason := range []string{"replay", "forged", "send", "session-ended", "no-session"} {
		if n := s.dropped(reason); n > 0 {
			t.Errorf("%d packets dropped: %s", n, reason)
		}
	}
}

// B55, A61, A62: whatever happens to the interface while several goroutines process
// packets, all of them end or continue, and packets flow again afterwards.
func TestSpreadThroughChanges(t *testing.T) {
	check := balance(t)
	_, a, b := pair(t, spread(4))
	a.deliver(b, "hello")
	a.churn(t, 0, func(i int) {
		a.inject(b, "noise")
		b.inject(a, "noise")
		b.tun.Next(0)
		if i%16 == 0 {
			time.Sleep(10 * time.Microsecond)
		}
	})
	a.Down()
	a.up()
	a.sleep(10 * time.Second)
	for try := 0; !func() bool { a.inject(b, "again"); return b.receives("again", time.Second) }(); try++ {
		if a.sleep(6 * time.Second); try > 10 {
			t.Fatal("no packet arrives any more")
		}
	}
	within(t, patience, "Close", a.Close)
	b.tun.Delete()
	within(t, patience, "the end", func() { <-b.Done() })
	check()
}

// churn brings an interface down and up and moves it to other sockets, many times,
// while it calls traffic repeatedly.
func (s *site) churn(t *testing.T, pause time.Duration, traffic func(i int)) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				traffic(i)
			}
		}
	}()
	for i := range 60 {
		switch i % 3 {
		case 0:
			within(t, patience, "Down", s.Down)
			s.up()
		case 1:
			port := uint16(0)
			s.apply(conf.Change{ListenPort: &port})
		case 2:
			mark := uint32(i)
			s.apply(conf.Change{FirewallMark: &mark})
		}
		time.Sleep(pause)
	}
	close(stop)
	<-done
}
