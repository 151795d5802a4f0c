package engine

import (
	"net/netip"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
)

// Senders with a wrong public key are listed. Of a flood, a few are, also after it has
// lasted, and once it is over, each one is again.
func TestUnreadInFlood(t *testing.T) {
	var u unread
	start := clock.Time(1000 * time.Second)
	listed := func(now clock.Time) (count uint64) {
		for _, o := range u.appendStatus(nil, clock.Now{Mono: now}) {
			if o.Kind != conf.BadMAC1 {
				t.Fatalf("%+v", o)
			}
			count += o.Count
		}
		return count
	}
	one := netip.MustParseAddrPort("192.0.2.1:7")
	for range 50 {
		u.add(start, one)
	}
	if n := listed(start); n != 50 {
		t.Errorf("%d of 50 are listed without a flood", n)
	}
	const rate, seconds = 200_000, 5
	now := start
	for i := range rate * seconds {
		now = start.Add(time.Duration(i) * time.Second / rate)
		u.add(now, one)
	}
	if n := listed(now); n < 100*seconds || n > 100*(seconds+1)+50 {
		t.Errorf("%d of a flood are listed, want some 100 a second", n)
	}
	now = now.Add(unreadInterval)
	u.add(now, netip.MustParseAddrPort("192.0.2.2:7"))
	if list := u.appendStatus(nil, clock.Now{Mono: now}); len(list) != 2 {
		t.Errorf("after the flood, another sender is not listed: %+v", list)
	}
}
