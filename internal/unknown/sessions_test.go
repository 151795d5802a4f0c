package unknown

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/wire"
)

func sender(i int) wire.Endpoint {
	a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	return wire.NewEndpoint(netip.AddrPortFrom(a, 5), netip.MustParseAddr("192.0.2.1"), 2)
}

// A flood of data for no session from 100,000 endpoints, and from others after a minute, is
// reported within the limits, each endpoint once in a minute, in bounded memory. It takes
// nothing from the limits of unknown keys.
func TestFloodOfUnknownSessions(t *testing.T) {
	const senders = 100_000
	table := New()
	s := table.Subscribe()
	const batch = 512
	const interval = 150 * time.Microsecond
	seen := map[netip.AddrPort]clock.Time{}
	reports := 0
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	now := start
	for i := 0; now < start.Add(130*time.Second); i++ {
		if i%batch == 0 {
			list, _ := waitingFor(s)
			for _, w := range list {
				if at := seen[w.Endpoint]; at != 0 && now.Sub(at) < conf.MaxRefusal-batch*interval {
					t.Fatalf("%v was reported after %v again", w.Endpoint, now.Sub(at))
				}
				seen[w.Endpoint] = now
			}
			reports += len(list)
			if table.senders.len() > maxReported || table.sessions.recent.len() > maxReported {
				t.Fatalf("%d endpoints, and sources of %d", table.sessions.recent.len(), table.senders.len())
			}
		}
		from := i % senders
		if now.Sub(start) > time.Minute {
			from += senders
		}
		table.Session(now, sender(from))
		now = now.Add(interval)
	}
	seen = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	if reports < reportBurst || reports > reportBurst+int(now.Sub(start)/reportInterval) {
		t.Errorf("%d endpoints reported in %v", reports, now.Sub(start))
	}
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 32<<20 {
		t.Errorf("%d bytes", used)
	}
	if !table.Key(now, publicKey(1), someone) {
		t.Error("an unknown key is not reported")
	}
}

// The address at which data has arrived is known for a minute, until a peer is set to the
// endpoint. Then the endpoint is not reported for some seconds.
func TestSenderOfUnknownSession(t *testing.T) {
	table := New()
	s := table.Subscribe()
	table.Session(start, sender(1))
	other := sender(1)
	other.Source = netip.MustParseAddr("192.0.2.7")
	now := start.Add(time.Millisecond)
	table.Session(now, other)
	if from, at, ok := table.TakeSession(now, other.Remote); !ok || from != other || at != now {
		t.Errorf("%+v at %v, %v", from, at, ok)
	}
	if _, _, ok := table.TakeSession(now, other.Remote); ok {
		t.Error("taken twice")
	}
	waitingFor(s)
	for _, c := range []struct {
		after    time.Duration
		reported int
	}{{4 * time.Second, 0}, {2 * time.Second, 1}, {30 * time.Second, 0}} {
		now = now.Add(c.after)
		table.Session(now, other)
		if list, _ := waitingFor(s); len(list) != c.reported {
			t.Errorf("%v later: %+v", c.after, list)
		}
	}
	if _, _, ok := table.TakeSession(now.Add(conf.MaxRefusal), other.Remote); ok {
		t.Error("the address of a minute ago is used")
	}
	table.Session(now, sender(2))
	table.Refuse(now, conf.Refusal{Endpoint: sender(2).Remote, For: time.Second})
	if _, _, ok := table.TakeSession(now, sender(2).Remote); ok {
		t.Error("the address is kept after a refusal")
	}
}

// Data for no session costs no memory: neither without a subscriber, nor when it was
// reported before.
func TestUnknownSessionAllocatesNothing(t *testing.T) {
	table, now := New(), clock.Time(start)
	one := func() { table.Session(now, sender(1)) }
	if n := testing.AllocsPerRun(100, one); n != 0 {
		t.Errorf("without a subscriber: %v allocations", n)
	}
	table.Subscribe()
	one()
	if n := testing.AllocsPerRun(100, one); n != 0 {
		t.Errorf("after the first: %v allocations", n)
	}
}
