package unknown

import (
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
)

func inner(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// nowhere is for addresses that no peer has, and everywhere for those that one has.
func nowhere(netip.Addr) bool    { return false }
func everywhere(netip.Addr) bool { return true }

func one(size int) Packet { return Packet{Frame: make([]byte, size), Count: 1} }

// What waits for unknown destinations is bounded: in packets of one, in destinations, and in
// bytes. What is dropped is counted, and so is what has waited for 5 seconds, what is refused,
// and what is left when the last subscriber goes.
func TestParkedPacketsAreBounded(t *testing.T) {
	drops := 0
	table := New()
	table.CountDrops = func(n int) { drops += n }
	s := table.Subscribe()
	for range 100 {
		table.Park(start, inner(1), one(100), nowhere)
	}
	table.Park(start, inner(1), Packet{Frame: make([]byte, 9), Count: 40}, nowhere)
	list := table.TakeDestinations(start, []netip.Addr{inner(1)}, false, everywhere)
	if len(list) != 1 || len(list[0].Packets) != maxPacketsOf-40+1 || drops != 140-maxPacketsOf || table.parkedBytes != 0 {
		t.Fatalf("%d destinations, %d drops, %d bytes", len(list), drops, table.parkedBytes)
	}
	drops = 0
	for i := range 4000 {
		table.Park(start, inner(i), one(2000), nowhere)
		waitingFor(s)
	}
	if n := table.parked.len(); table.parkedBytes > maxParkedBytes || n+drops != 4000 || n < 2000 {
		t.Errorf("%d destinations with %d bytes, %d drops", n, table.parkedBytes, drops)
	}
	table.Refuse(start, conf.Refusal{Address: inner(3999), For: time.Second})
	if n := table.parked.len(); n+drops != 4000 {
		t.Errorf("after a refusal, %d destinations, %d drops", n, drops)
	}
	drops -= 4000
	table.TakeDestinations(start.Add(keepTime), nil, true, nowhere)
	if table.parked.len() != 0 || table.parkedBytes != 0 || drops != 0 {
		t.Errorf("after 5 seconds, %d destinations with %d bytes; %d were not counted", table.parked.len(), table.parkedBytes, -drops)
	}
	table.Park(start.Add(keepTime), inner(5000), one(1), nowhere)
	table.Unsubscribe(s)
	if table.parked.len() != 0 || drops != 1 || table.destinations.recent.len() != 0 {
		t.Errorf("without a subscriber: %d destinations, %d drops", table.parked.len(), drops)
	}
}

// A destination is reported once a minute, and packets to it wait for 5 seconds, or not at
// all after a refusal. As soon as a peer has it, the next packets are for that peer, and when
// the peer is removed, it is reported again.
func TestDestinationIsReportedOnce(t *testing.T) {
	table := New()
	s := table.Subscribe()
	for _, c := range []struct {
		at     time.Duration
		what   Parking
		wanted int
	}{
		{0, Parked, 1}, {time.Second, Parked, 0}, {5 * time.Second, Dropped, 0}, {59 * time.Second, Dropped, 0}, {61 * time.Second, Parked, 1},
	} {
		if got := table.Park(start.Add(c.at), inner(1), one(9), nowhere); got != c.what {
			t.Errorf("after %v: %v, want %v", c.at, got, c.what)
		}
		if list, _ := waitingFor(s); len(list) != c.wanted || c.wanted > 0 && (list[0].Kind != conf.UnknownDestination || list[0].Address != inner(1)) {
			t.Errorf("after %v: %+v", c.at, list)
		}
	}
	now := start.Add(62 * time.Second)
	table.Refuse(now, conf.Refusal{Address: inner(1), For: time.Minute})
	if got := table.Park(now, inner(1), one(9), nowhere); got != Dropped {
		t.Errorf("after a refusal: %v", got)
	}
	if got := table.Park(now, inner(1), one(9), everywhere); got != Routed {
		t.Errorf("with a peer: %v", got)
	}
	for _, wider := range []bool{false, true} {
		if list := table.TakeDestinations(now, []netip.Addr{inner(1)}, wider, everywhere); len(list) != 0 {
			t.Errorf("taken: %+v", list)
		}
		if got := table.Park(now, inner(1), one(9), nowhere); got != Parked {
			t.Errorf("after the peer is removed: %v", got)
		}
		if list := table.TakeDestinations(now, nil, true, everywhere); len(list) != 1 || list[0].To != inner(1) {
			t.Errorf("taken: %+v", list)
		}
	}
	for _, a := range []string{"224.0.0.1", "255.255.255.255", "fe80::1", "ff02::2", "::", "127.0.0.1"} {
		if got := table.Park(now, netip.MustParseAddr(a), one(9), nowhere); got != Dropped {
			t.Errorf("%s: %v", a, got)
		}
	}
	if n := testing.AllocsPerRun(10, func() { New().TakeDestinations(now, nil, true, everywhere) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
}

// A wider prefix looks up only the destinations with waiting packets, not all that were
// reported within a minute.
func TestWiderPrefixLooksAtWhatWaits(t *testing.T) {
	table := New()
	s := table.Subscribe()
	now := start
	for i := range 20_000 {
		table.Park(now, inner(i), one(9), nowhere)
		waitingFor(s)
		now = now.Add(reportInterval)
	}
	if table.parked.len() != maxDestinations || table.destinations.recent.len() != 20_000 {
		t.Fatalf("%d destinations wait, %d were reported", table.parked.len(), table.destinations.recent.len())
	}
	looks := 0
	list := table.TakeDestinations(now, nil, true, func(netip.Addr) bool { looks++; return looks%2 == 0 })
	if looks != maxDestinations || len(list) != maxDestinations/2 || table.parked.len() != maxDestinations/2 {
		t.Errorf("%d look-ups, %d destinations taken, %d still wait", looks, len(list), table.parked.len())
	}
}
