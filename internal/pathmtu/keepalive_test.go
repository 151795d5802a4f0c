package pathmtu

import (
	"testing"
	"time"

	"wgd/internal/clock"
)

// A keeper is a peer that sends keepalives as in §6.5, at the end of a path. None of its hosts
// answers a probe.
type keeper struct {
	mtu        int
	rtt        time.Duration
	persistent time.Duration // its interval; 0: off
	lose       int           // this probe, from 1

	probes int
	paused []time.Duration // before each probe
}

// search carries out a search with k, for an hour at most, and returns how long it took. The
// last packet was exchanged at its beginning.
func (k *keeper) search() (r Result, mtu int, took time.Duration) {
	const start, step = clock.Time(time.Hour), 10 * time.Millisecond
	a := Activity{Sent: start, Received: start}
	s := NewKeepaliveSearch(start, 1500, Minimum6)
	last, owes := start, clock.Never // the last packet that k knows, and when it sends a keepalive
	arrives := clock.Never           // its last keepalive
	for now := start; now < start.Add(time.Hour); now = now.Add(step) {
		if k.persistent > 0 && now >= last.Add(k.persistent) || now >= owes {
			last, owes, arrives = now, clock.Never, now.Add(k.rtt)
		}
		if now >= arrives {
			a.Received, arrives = now, clock.Never
		}
		if now < s.Deadline(a) {
			continue
		}
		paused := now.Sub(max(a.Sent, a.Received))
		if size := s.Timeout(now, a); size > 0 {
			k.probes++
			k.paused = append(k.paused, paused)
			a.Sent = now
			if size <= k.mtu && k.probes != k.lose {
				last, owes = now, now.Add(owed)
			}
		}
		if r, mtu = s.Result(); r != Searching {
			return r, mtu, now.Sub(start)
		}
	}
	return Searching, 0, time.Hour
}

// Two probes in pauses prove that the path carries the largest datagrams. If two are lost and
// one of the fallback is not, the path is narrow. If that is lost too, nothing is known.
func TestKeepaliveSearch(t *testing.T) {
	for _, c := range []struct {
		name   string
		k      keeper
		result Result
		probes int
	}{
		{"wide", keeper{mtu: 1500}, Clear, 2},
		{"wide and slow", keeper{mtu: 1500, rtt: 1900 * time.Millisecond}, Clear, 2},
		{"narrow", keeper{mtu: 1400}, Narrow, 3},
		{"as narrow as IPv6 allows", keeper{mtu: Minimum6}, Narrow, 3},
		{"interrupted", keeper{mtu: 0}, Silent, 3},
		{"one loss", keeper{mtu: 1500, lose: 1}, Clear, 3},
		{"another loss", keeper{mtu: 1500, lose: 2}, Clear, 3},
		{"persistent keepalives", keeper{mtu: 1500, persistent: 25 * time.Second}, Clear, 2},
	} {
		r, mtu, took := c.k.search()
		if r != c.result || c.k.probes != c.probes || r == Narrow && mtu != Minimum6 {
			t.Errorf("%s: result %d, MTU %d, after %d probes; want %d after %d", c.name, r, mtu, c.k.probes, c.result, c.probes)
		}
		if took > 90*time.Second {
			t.Errorf("%s: took %v", c.name, took)
		}
		for _, paused := range c.k.paused {
			if paused < pause {
				t.Errorf("%s: a probe after a pause of %v", c.name, paused)
			}
		}
	}
}

// Nothing is asked of a path that carries the fallback only, but whether it carries that.
func TestKeepaliveSearchAtFallback(t *testing.T) {
	s := NewKeepaliveSearch(0, 1200, Minimum6)
	if s.Timeout(clock.Time(time.Hour), Activity{}) != 1200 || s.fallback != 1200 {
		t.Errorf("the fallback is %d", s.fallback)
	}
}

// Persistent keepalives of the peer, whatever their interval, prove nothing about a path that
// carries no large datagrams; nor do they about a path that carries nothing.
func TestPersistentKeepalivesProveNothing(t *testing.T) {
	for interval := time.Second; interval < 80*time.Second; interval += 100 * time.Millisecond {
		for _, mtu := range []int{0, Minimum6} {
			k := keeper{mtu: mtu, persistent: interval}
			if r, _, _ := k.search(); r == Clear {
				t.Errorf("MTU %d, an interval of %v: the path seems to be wide", mtu, interval)
			}
		}
	}
}

// Whatever else is sent or received while an answer is expected makes it worthless.
func TestDisturbedKeepaliveSearch(t *testing.T) {
	const start = clock.Time(time.Hour)
	for offset := 10 * time.Millisecond; offset <= KeepaliveTime; offset += 10 * time.Millisecond {
		for name, disturbed := range map[string]func(a *Activity, at, now clock.Time){
			// The peer did not get the probe, and owes a keepalive for what came later.
			"data from us": func(a *Activity, at, now clock.Time) {
				a.Sent = at
				if back := at.Add(owed); back <= now {
					a.Received = back
				} else {
					a.Pending = true
				}
			},
			"data from the peer": func(a *Activity, at, now clock.Time) { a.Received, a.Pending = at, true },
		} {
			s := NewKeepaliveSearch(0, 1500, Minimum6)
			if s.Timeout(start, Activity{}) != 1500 {
				t.Fatal("no probe")
			}
			for _, now := range []clock.Time{start.Add(settle), start.Add(KeepaliveTime)} {
				a := Activity{Sent: start}
				if at := start.Add(offset); at <= now {
					disturbed(&a, at, now)
				}
				if now >= s.Deadline(a) {
					s.Timeout(now, a)
				}
			}
			if s.answered+s.lost > 0 || !s.Waiting() || s.due <= start {
				t.Errorf("%s after %v: %d answered, %d lost", name, offset, s.answered, s.lost)
			}
		}
	}
}

// While an answer of either side is pending, there is no pause; and a probe that was not sent
// was not lost.
func TestNoPause(t *testing.T) {
	const start = clock.Time(time.Hour)
	s := NewKeepaliveSearch(0, 1500, Minimum6)
	if a := (Activity{Pending: true}); s.Deadline(a) != clock.Never || s.Timeout(start, a) != 0 {
		t.Error("a probe while an answer is pending")
	}
	s.Timeout(start, Activity{})
	s.Timeout(start.Add(settle), Activity{})
	if !s.Waiting() || s.lost != 0 {
		t.Error("a probe that was not sent is waited for")
	}
}
