package peer

import (
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
)

// The MTU of a path is asked for while large datagrams are sent, at most once a second. It
// is forgotten after ten minutes, and asked for again; another endpoint has its own.
func TestPathMTU(t *testing.T) {
	const start = clock.Time(time.Hour)
	p := newPeer()
	p.SetEndpoint(receiveA)
	if p.NeedsPathMTU(p.Location(), start, true) {
		t.Error("it is asked for, but routes are not followed")
	}
	p = routed()
	if p.NeedsPathMTU(p.Location(), start, true) {
		t.Error("it is asked for without an endpoint")
	}
	p.SetEndpoint(receiveA)
	for _, mtu := range []int{0, 1280} {
		for _, c := range []struct {
			after        time.Duration
			large, small bool // whether it is asked for
			known        bool
		}{
			{0, false, false, true}, {999 * time.Millisecond, false, false, true}, {time.Second, true, false, true},
			{10 * time.Minute, true, false, true}, {10*time.Minute + 1, true, mtu != 0, false},
		} {
			l, now := p.Location(), start.Add(c.after)
			l.SetPathMTU(start, mtu)
			want := mtu
			if !c.known {
				want = 0
			}
			if got := l.PathMTU(now); got != want {
				t.Errorf("%v after the answer %d, the MTU is %d", c.after, mtu, got)
			}
			if large, small := p.NeedsPathMTU(l, now, true), p.NeedsPathMTU(l, now, false); large != c.large || small != c.small {
				t.Errorf("%v after the answer %d, it is asked for: after large datagrams %v, others %v", c.after, mtu, large, small)
			}
		}
	}
	p.SetEndpoint(receiveB)
	if got := p.Location().PathMTU(start); got != 1280 {
		t.Errorf("to the same address from another source, the MTU is %d", got)
	}
	p.SetEndpoint(wire.NewEndpoint(remoteB, sourceA, 3))
	if l := p.Location(); l.PathMTU(start) != 0 || !p.NeedsPathMTU(l, start, true) {
		t.Errorf("to another address, the MTU is %d", l.PathMTU(start))
	}
}
