package pathmtu

import (
	"slices"
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
)

// usual are the MTUs that are looked for: of Ethernet, PPPoE, tunnels of all kinds, mobile
// networks, and the minima of IPv6 and IPv4.
var usual = []int{
	8000, 6000, 4000, 3000, 2000,
	1500, 1492, 1480, 1472, 1464, 1454, 1440, 1428, 1420, 1400, 1380, 1360, 1340, 1320, 1300,
	1280, 1200, 1100, 1000, 800, Minimum4,
}

// The MTUs that every path of IPv4 and of IPv6 has.
const (
	Minimum4 = 576
	Minimum6 = 1280
)

const (
	// A round takes firstGap, or two round trips if that is longer. If it was not answered,
	// the next one takes twice as long, or four times if nothing was answered yet; and it
	// takes exceededGap if the answers may be limited to one per second.
	firstGap    = 300 * time.Millisecond
	exceededGap = 1100 * time.Millisecond
	maxGap      = 5 * time.Second

	// A size is lost if that many rounds with all sizes were answered without it. The one
	// that the tunnel needs has had a round of its own before.
	enough = 2
	// maxSilent is how many rounds without any answer end the search, and maxUnheard how
	// many at its beginning. Those are few, because each one goes round several times if the
	// way to the peer is a loop (A46).
	maxSilent  = 4
	maxUnheard = 2

	// perRound is how many sequence numbers a round has. The last one is that of the short
	// probe.
	perRound = 64
	short    = perRound - 1
)

// Limits are the MTUs between which a Search looks.
type Limits struct {
	Top     int // what the tunnel needs, or the first link carries
	Minimum int // not below this one
	Known   int // found by an earlier search; 0: none
	Raise   bool
	// Raise looks for an MTU over Known. Otherwise the search only checks whether the
	// path still carries Known.
}

// A Probe is what is to be sent.
type Probe struct {
	Frame []byte // with the inner packet
	MTU   int    // length of the outer packet; 0: as short as it is
}

// A Result is what a Search has found.
type Result uint8

const (
	Searching Result = iota // it goes on
	Clear                   // the path carries Top
	Narrow                  // the path carries MTU, which is less than Top
	Silent                  // nothing is known: there were no answers, or to the short probes only
)

// A Search is the search for the MTU of one path.
type Search struct {
	echo   packet.Echo
	limits Limits
	sizes  []int // to probe, largest first

	result   Result
	best     int  // the largest that was answered; 0: none
	heard    bool // something was answered
	exceeded bool // by "time exceeded"

	round    int
	begun    []clock.Time // of each round
	deadline clock.Time   // of this one
	gap      time.Duration
	answered bool // something of this round
	all      bool // it has all sizes
	lost     int  // rounds with all sizes that were answered
	silent   int  // rounds that were not

	pending []Probe
}

// New begins a search at now. The sequence numbers of echo are chosen by the Search.
func New(now clock.Time, echo packet.Echo, l Limits) *Search {
	s := &Search{echo: echo, limits: l, gap: firstGap}
	target := l.Top
	if l.Known > 0 && !l.Raise {
		target = min(target, l.Known)
	}
	s.sizes = append(s.sizes, target)
	for _, mtu := range usual {
		if l.Known > mtu && l.Known < s.sizes[len(s.sizes)-1] {
			s.sizes = append(s.sizes, l.Known)
		}
		if mtu < s.sizes[len(s.sizes)-1] && mtu >= l.Minimum {
			s.sizes = append(s.sizes, mtu)
		}
	}
	s.begin(now)
	return s
}

// begin begins the next round.
func (s *Search) begin(now clock.Time) {
	s.begun = append(s.begun, now)
	s.answered, s.all = false, s.heard
	for i, mtu := range s.sizes {
		if mtu > s.best && (s.all || i == 0 || mtu == s.limits.Known) {
			s.add(i, mtu)
		}
	}
	s.add(short, 0)
	s.deadline = now.Add(s.gap)
	s.round++
}

func (s *Search) add(i, mtu int) {
	s.echo.Sequence = uint16(s.round*perRound + i)
	frame := make([]byte, packet.MaxEchoFrame)
	s.pending = append(s.pending, Probe{Frame: frame[:s.echo.Put(frame)], MTU: mtu})
}

// Poll returns the next probe to send.
func (s *Search) Poll() (p Probe, ok bool) {
	if len(s.pending) == 0 {
		return Probe{}, false
	}
	p, s.pending = s.pending[0], s.pending[1:]
	return p, true
}

// Doubt reports whether the path seems to carry less than was looked for first.
func (s *Search) Doubt() bool { return s.all }

// Deadline returns when to call Timeout next.
func (s *Search) Deadline() clock.Time { return s.deadline }

// Answered tells the search that a probe was answered.
func (s *Search) Answered(now clock.Time, a packet.EchoAnswer) {
	round, i := int(a.Sequence)/perRound, int(a.Sequence)%perRound
	if s.result != Searching || round >= len(s.begun) || i != short && i >= len(s.sizes) {
		return
	}
	s.heard = true
	s.exceeded = s.exceeded || a.Exceeded
	s.answered = s.answered || round == s.round-1
	if i != short {
		s.best = max(s.best, s.sizes[i])
	}
	if s.best == s.sizes[0] {
		s.end()
		return
	}
	if late := s.begun[s.round-1].Add(2 * now.Sub(s.begun[round])); !s.answered && late > s.deadline {
		s.deadline = min(late, s.begun[s.round-1].Add(maxGap))
		s.gap = s.deadline.Sub(s.begun[s.round-1])
	}
}

// Timeout ends a round.
func (s *Search) Timeout(now clock.Time) {
	if s.result != Searching || now < s.deadline {
		return
	}
	switch {
	case !s.answered:
		s.silent++
		s.gap = min(2*s.gap, maxGap)
		if !s.heard {
			s.gap = min(2*s.gap, maxGap)
		}
	case s.all:
		s.lost++
	}
	if s.exceeded {
		s.gap = max(s.gap, exceededGap)
	}
	if s.silent == maxSilent || !s.heard && s.silent == maxUnheard || s.lost == enough {
		s.end()
		return
	}
	s.begin(now)
}

func (s *Search) end() {
	s.pending, s.deadline = nil, clock.Never
	switch {
	case s.best == s.limits.Top:
		s.result = Clear
	case s.best == s.sizes[0] || s.best > 0 && s.lost == enough:
		s.result = Narrow
	default:
		s.result = Silent
	}
}

// Result returns what was found, and with Narrow, the MTU.
func (s *Search) Result() (r Result, mtu int) { return s.result, s.best }

// TooBig returns a frame that tells the host that was asked that the path to us carries
// inner packets of n bytes only; nil if it would not accept that. It quotes the reply of
// the host: Linux applies what such an error says to all packets for the same destination.
func (s *Search) TooBig(n int) []byte {
	if s.exceeded || s.echo.To.Is6() && n < Minimum6 {
		return nil
	}
	reply, frame := make([]byte, packet.MaxEchoFrame), make([]byte, packet.MaxErrorFrame)
	p := reply[packet.VirtioHeaderSize:s.echo.PutReply(reply)]
	return slices.Clip(frame[:packet.PutError(frame, p, packet.TooBig, n)])
}
