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
			l.SetPathMTU(start, mtu, false)
			want := mtu
			if !c.known {
				want = 0
			}
			if got, _ := l.PathMTU(now); got != want {
				t.Errorf("%v after the answer %d, the MTU is %d", c.after, mtu, got)
			}
			if large, small := p.NeedsPathMTU(l, now, true), p.NeedsPathMTU(l, now, false); large != c.large || small != c.small {
				t.Errorf("%v after the answer %d, it is asked for: after large datagrams %v, others %v", c.after, mtu, large, small)
			}
		}
	}
	p.SetEndpoint(receiveB)
	if got, _ := p.Location().PathMTU(start); got != 1280 {
		t.Errorf("to the same address from another source, the MTU is %d", got)
	}
	p.SetEndpoint(wire.NewEndpoint(remoteB, sourceA, 3))
	l := p.Location()
	if got, _ := l.PathMTU(start); got != 0 || !p.NeedsPathMTU(l, start, true) {
		t.Errorf("to another address, the MTU is %d", got)
	}
}

// probing returns a peer whose paths may be probed, at remote address A.
func probing() *Peer {
	p := routed()
	timing := *p.Timing()
	timing.ProbePaths = true
	p.common.SetTiming(timing)
	p.SetEndpoint(receiveA)
	return p
}

// What a search has found counts if it is less than what the kernel knows. It does not age,
// and belongs to the remote address.
func TestProbedMTU(t *testing.T) {
	const start = clock.Time(time.Hour)
	for _, c := range []struct {
		kernel   int
		reported bool
		probed   int
		want     int
		from     PathSource
	}{
		{0, false, 0, 0, FromNothing}, {1400, false, 0, 1400, FromRoute}, {1400, true, 0, 1400, FromICMP},
		{0, false, 1300, 1300, FromProbe}, {1400, true, 1300, 1300, FromProbe}, {1300, true, 1300, 1300, FromICMP}, {1280, false, 1300, 1280, FromRoute},
	} {
		p := probing()
		l := p.Location()
		l.SetPathMTU(start, c.kernel, c.reported)
		l.SetProbed(c.probed, start)
		if mtu, from := l.PathMTU(start); mtu != c.want || from != c.from {
			t.Errorf("%+v: the MTU is %d from %d", c, mtu, from)
		}
		if mtu, from := l.PathMTU(start.Add(time.Hour)); mtu != c.probed || c.probed > 0 && from != FromProbe {
			t.Errorf("%+v: after an hour, the MTU is %d from %d", c, mtu, from)
		}
		p.SetEndpoint(receiveB)
		if mtu, _ := p.Location().PathMTU(start); mtu != c.want {
			t.Errorf("%+v: from another source, the MTU is %d", c, mtu)
		}
		p.SetEndpoint(wire.NewEndpoint(remoteB, sourceA, 3))
		if mtu, _ := p.Location().PathMTU(start); mtu != 0 {
			t.Errorf("%+v: to another address, the MTU is %d", c, mtu)
		}
	}
}

// A search may begin if routes are followed, probes are on, and it is not too early. One
// caller at a time tells the machine. Another route makes one due that looks for all sizes.
func TestNeedsProbe(t *testing.T) {
	const start = clock.Time(time.Hour)
	off, unfollowed := routed(), newPeer()
	off.SetEndpoint(receiveA)
	unfollowed.common.SetTiming(*probing().Timing())
	unfollowed.SetEndpoint(receiveA)
	for name, p := range map[string]*Peer{"off": off, "routes not followed": unfollowed} {
		if l := p.Location(); p.NeedsProbe(l, start) || p.Unproven(l) {
			t.Errorf("%s: a search may begin", name)
		}
	}
	p := probing()
	l := p.Location()
	if !p.NeedsProbe(l, start) || !p.Unproven(l) {
		t.Error("no search may begin at first")
	}
	if !l.ClaimProbe(start) || l.ClaimProbe(start) || p.NeedsProbe(l, start) {
		t.Error("not one caller tells the machine")
	}
	if !p.NeedsProbe(l, start.Add(probeClaim)) {
		t.Error("the machine did nothing, and is not told again")
	}
	l.SetRoute(&Route{Found: true, Interface: 1}, 0)
	l.SetProbed(1400, start.Add(time.Hour))
	l.PostponeProbe(start.Add(time.Minute))
	if _, raise := l.Probed(start); raise || p.NeedsProbe(l, start) || p.Unproven(l) || !l.AnyProbes() {
		t.Error("what a search has found is not respected")
	}
	l.SetRoute(&Route{Found: true, Interface: 1, MTU: 9000}, 1)
	if p.NeedsProbe(l, start) {
		t.Error("a search may begin although the route is the same")
	}
	l.SetRoute(&Route{Found: true, Interface: 2}, 2)
	if mtu, raise := l.Probed(start); mtu != 1400 || !raise || !p.NeedsProbe(l, start) {
		t.Errorf("after a change of the route: MTU %d, looks for more: %v", mtu, raise)
	}
}
