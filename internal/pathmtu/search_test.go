package pathmtu

import (
	"net/netip"
	"testing"
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
)

var (
	echo4 = packet.Echo{From: netip.MustParseAddr("10.2.0.1"), To: netip.MustParseAddr("10.2.0.2"), ID: 5, Token: 6}
	echo6 = packet.Echo{From: netip.MustParseAddr("fd00::1"), To: netip.MustParseAddr("fd00::2"), ID: 5, Token: 6}
)

// A path answers probes in virtual time.
type path struct {
	mtu      int
	rtt      time.Duration
	down     time.Duration           // from the start on, for that long
	lose     func(n int) bool        // whether the n-th probe is lost; nil: none
	exceeded time.Duration           // the least time between two answers "time exceeded"; 0: replies
	silent   func(p Probe) (ok bool) // whether the host does not answer; nil: it does

	last  time.Duration
	sent  int
	bytes int
	long  int // the longest probe that was sent
}

// run runs a search to its end, and returns how long it took.
func (h *path) run(t *testing.T, echo packet.Echo, l Limits) (s *Search, took time.Duration) {
	t.Helper()
	const start = clock.Time(time.Hour)
	type answer struct {
		at time.Duration
		a  packet.EchoAnswer
	}
	var answers []answer
	s = New(start, echo, l)
	h.last = -time.Hour
	for now := time.Duration(0); now < time.Minute; now += 10 * time.Millisecond {
		for len(answers) > 0 && answers[0].at <= now {
			s.Answered(start.Add(now), answers[0].a)
			answers = answers[1:]
		}
		if s.Deadline() <= start.Add(now) {
			s.Timeout(start.Add(now))
		}
		for p, ok := s.Poll(); ok; p, ok = s.Poll() {
			h.sent, h.bytes, h.long = h.sent+1, h.bytes+max(p.MTU, 100), max(h.long, p.MTU)
			if p.MTU > h.mtu || now < h.down || h.lose != nil && h.lose(h.sent) || h.silent != nil && h.silent(p) {
				continue
			}
			if now-h.last < h.exceeded {
				continue
			}
			h.last = now
			answers = append(answers, answer{now + h.rtt, h.answer(t, echo, p)})
		}
		if r, _ := s.Result(); r != Searching {
			return s, now
		}
	}
	t.Fatalf("the search does not end: %+v", s)
	return nil, 0
}

func (h *path) answer(t *testing.T, e packet.Echo, p Probe) packet.EchoAnswer {
	t.Helper()
	inner := p.Frame[packet.VirtioHeaderSize:]
	at := 20
	if e.To.Is6() {
		at = 40
	}
	e.Sequence = uint16(inner[at+6])<<8 | uint16(inner[at+7])
	reply := make([]byte, packet.MaxEchoFrame)
	a, ok := packet.AnswerTo(reply[packet.VirtioHeaderSize:e.PutReply(reply)], e.ID, e.Token)
	if !ok {
		t.Fatalf("%x has no answer", p.Frame)
	}
	a.Exceeded = h.exceeded > 0
	return a
}

// The search finds the largest usual MTU that the path carries, in a few seconds also on
// a slow path, whether the peer replies or reports that the time is exceeded. A path that
// carries what is needed costs two datagrams.
func TestFindsTheMTU(t *testing.T) {
	for _, rtt := range []time.Duration{0, 20 * time.Millisecond, 290 * time.Millisecond, 700 * time.Millisecond, 1200 * time.Millisecond} {
		for _, exceeded := range []time.Duration{0, time.Second} {
			for _, c := range []struct{ mtu, want int }{
				{9000, 1500}, {1500, 1500}, {1499, 1492}, {1492, 1492}, {1419, 1400}, {1280, 1280}, {1279, 1200}, {576, 576},
			} {
				for _, echo := range []packet.Echo{echo4, echo6} {
					h := &path{mtu: c.mtu, rtt: rtt, exceeded: exceeded}
					s, took := h.run(t, echo, Limits{Top: 1500, Minimum: Minimum4})
					r, mtu := s.Result()
					want, limit := Narrow, 3*time.Second+6*rtt+3*exceeded
					if c.want == 1500 {
						want, limit = Clear, 10*time.Millisecond+rtt
					}
					if r != want || mtu != c.want || took > limit {
						t.Errorf("MTU %d, round trip %v, exceeded %v: result %d, %d after %v", c.mtu, rtt, exceeded, r, mtu, took)
					}
					if want == Clear && rtt < firstGap && h.sent != 2 {
						t.Errorf("%d datagrams for a path that carries all", h.sent)
					}
					if h.bytes > 150_000 {
						t.Errorf("MTU %d, round trip %v, exceeded %v: %d bytes were sent", c.mtu, rtt, exceeded, h.bytes)
					}
				}
			}
		}
	}
}

// No probe is longer than the tunnel needs, or shorter than the minimum.
func TestKeepsToTheLimits(t *testing.T) {
	h := &path{mtu: 1000}
	s, _ := h.run(t, echo4, Limits{Top: 1478, Minimum: Minimum6})
	if r, _ := s.Result(); r != Silent || h.long != 1478 {
		t.Errorf("result %d, longest probe %d", r, h.long)
	}
	h = &path{mtu: 9000}
	s, _ = h.run(t, echo4, Limits{Top: 8970, Minimum: Minimum6})
	if r, mtu := s.Result(); r != Clear || mtu != 8970 {
		t.Errorf("result %d, MTU %d", r, mtu)
	}
}

// An MTU that was found is confirmed with one probe of its size. When it does not hold any
// more, a smaller one is looked for; a larger one only if that is asked for.
func TestChecksWhatIsKnown(t *testing.T) {
	for _, c := range []struct {
		mtu   int
		raise bool
		want  Result
		found int
		sent  int // 0: any number
	}{
		{1400, false, Narrow, 1400, 2}, {1500, false, Narrow, 1400, 2}, {1300, false, Narrow, 1300, 0},
		{1500, true, Clear, 1500, 3}, {1450, true, Narrow, 1440, 0}, {1400, true, Narrow, 1400, 0}, {1300, true, Narrow, 1300, 0},
	} {
		h := &path{mtu: c.mtu, rtt: 20 * time.Millisecond}
		s, took := h.run(t, echo4, Limits{Top: 1500, Minimum: Minimum4, Known: 1400, Raise: c.raise})
		if r, mtu := s.Result(); r != c.want || mtu != c.found || took > time.Second || c.sent > 0 && h.sent != c.sent {
			t.Errorf("%+v: result %d, MTU %d after %v and %d probes", c, r, mtu, took, h.sent)
		}
	}
	// A known MTU that is not a usual one is looked for all the same.
	h := &path{mtu: 1452}
	s, _ := h.run(t, echo4, Limits{Top: 1500, Minimum: Minimum4, Known: 1452, Raise: true})
	if r, mtu := s.Result(); r != Narrow || mtu != 1452 {
		t.Errorf("result %d, MTU %d, want 1452", r, mtu)
	}
}

// A host that does not answer is asked a few times only, and not with all sizes.
func TestSilentHost(t *testing.T) {
	h := &path{silent: func(Probe) bool { return true }, mtu: 1500}
	s, took := h.run(t, echo4, Limits{Top: 1500, Minimum: Minimum4})
	if r, _ := s.Result(); r != Silent || h.sent != 2*maxUnheard || took > 2*time.Second {
		t.Errorf("result %d after %d probes and %v", r, h.sent, took)
	}
	// Nor does it mean anything that only short probes are answered.
	h = &path{silent: func(p Probe) bool { return p.MTU > 0 }, mtu: 1500}
	s, _ = h.run(t, echo4, Limits{Top: 1500, Minimum: Minimum4})
	if r, _ := s.Result(); r != Silent {
		t.Errorf("result %d, although no probe but the short ones was answered", r)
	}
}

// An interrupted path is not a narrow one.
func TestInterruptedPath(t *testing.T) {
	for down := time.Duration(0); down < 4*time.Second; down += 100 * time.Millisecond {
		h := &path{mtu: 1500, rtt: 20 * time.Millisecond, down: down}
		s, _ := h.run(t, echo4, Limits{Top: 1500, Minimum: Minimum4})
		if r, _ := s.Result(); r != Clear && r != Silent || down < firstGap && r != Clear {
			t.Errorf("%v of interruption: result %d", down, r)
		}
	}
}

// One loss, at any place, changes nothing.
func TestOneLoss(t *testing.T) {
	for _, mtu := range []int{1500, 1400, 1280} {
		for n := 1; n < 40; n++ {
			h := &path{mtu: mtu, rtt: 20 * time.Millisecond, lose: func(i int) bool { return i == n }}
			s, _ := h.run(t, echo4, Limits{Top: 1500, Minimum: Minimum4})
			if _, got := s.Result(); got != mtu {
				t.Errorf("the MTU is %d, but without probe %d it seems to be %d", mtu, n, got)
			}
		}
	}
}

// An answer to a probe that was never sent changes nothing.
func TestAnswersThatFitNothing(t *testing.T) {
	const start = clock.Time(time.Hour)
	for _, sequence := range []uint16{perRound, perRound + 1, 62, 65535} {
		s := New(start, echo4, Limits{Top: 1500, Minimum: Minimum4})
		s.Answered(start+1, packet.EchoAnswer{Sequence: sequence})
		if r, mtu := s.Result(); s.heard || r != Searching || mtu != 0 {
			t.Errorf("answer %d: result %d, MTU %d", sequence, r, mtu)
		}
	}
}

// The host that was asked is told what the path carries by an error about its reply, from
// the address that it replied to; but not by what it would ignore, or about a reply that it
// did not send.
func TestTooBig(t *testing.T) {
	for _, c := range []struct {
		echo     packet.Echo
		exceeded bool
		n        int
		want     bool
	}{
		{echo4, false, 1200, true}, {echo4, true, 1200, false}, {echo6, false, 1280, true}, {echo6, false, 1264, false}, {echo6, true, 1280, false},
	} {
		s := New(1, c.echo, Limits{Top: 1500, Minimum: Minimum4})
		s.Answered(2, packet.EchoAnswer{Sequence: short, Exceeded: c.exceeded})
		frame := s.TooBig(c.n)
		if (frame != nil) != c.want {
			t.Errorf("%+v: %x", c, frame)
		}
		if frame == nil {
			continue
		}
		p := frame[packet.VirtioHeaderSize:]
		if n, ok := packet.Length(p); !ok || n != len(p) || packet.Source(p) != c.echo.From || packet.Destination(p) != c.echo.To {
			t.Errorf("%+v: %x", c, p)
		}
	}
}

// A host that answers "time exceeded" may do so once per second only: the next rounds do
// not begin sooner.
func TestRoundsForTimeExceeded(t *testing.T) {
	h := &path{mtu: 1279, exceeded: time.Second}
	s, _ := h.run(t, echo4, Limits{Top: 1500, Minimum: Minimum4})
	if len(s.begun) < 3 {
		t.Fatalf("%d rounds", len(s.begun))
	}
	for i := 2; i < len(s.begun); i++ {
		if gap := s.begun[i].Sub(s.begun[i-1]); gap < time.Second {
			t.Errorf("round %d begins %v after the one before", i, gap)
		}
	}
}

// If the path is interrupted after one round with all sizes was answered, the larger ones
// of it may have been lost by accident: nothing is known.
func TestInterruptedWithinTheSearch(t *testing.T) {
	h := &path{mtu: 1400, lose: func(n int) bool { return n > 20 }}
	s, _ := h.run(t, echo4, Limits{Top: 1500, Minimum: Minimum4})
	if r, mtu := s.Result(); r != Silent || s.best != 1400 {
		t.Errorf("result %d, %d", r, mtu)
	}
}
