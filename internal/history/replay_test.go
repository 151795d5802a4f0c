package history

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/key"
)

// start is when the logs of these tests begin.
var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// A testLog is a log, to which a test adds events at seconds after start.
type testLog struct {
	t     *testing.T
	lines []byte
	run   string
	seq   uint64
	clock time.Duration // error of the wall clock
}

func newLog(t *testing.T) *testLog {
	l := &testLog{t: t}
	l.begin(0, "R1")
	return l
}

// begin begins another run, of which all events are seen.
func (l *testLog) begin(at float64, run string) {
	l.run, l.seq = run, 0
	l.mark(at, conf.EventsBegin)
}

// mark adds an event that has no number of its own.
func (l *testLog) mark(at float64, kind conf.EventKind) {
	l.write(conf.Event{Seq: l.seq, Time: l.wall(at), Kind: kind})
}

func seconds64(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (l *testLog) wall(at float64) time.Time { return start.Add(seconds64(at) + l.clock) }

// add adds an event about a peer; 0 is none.
func (l *testLog) add(at float64, kind conf.EventKind, peer byte, change ...func(*conf.Event)) {
	l.seq++
	e := conf.Event{Seq: l.seq, Time: l.wall(at), SinceBoot: time.Hour + seconds64(at), Kind: kind, Initiator: true}
	if peer != 0 {
		e.Peer, e.Name = key.Public{peer}, string('a'+rune(peer)-1)
		e.Endpoint = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, peer}), 7)
	}
	for _, f := range change {
		f(&e)
	}
	l.write(e)
}

func renewed(e *conf.Event) { e.Renewed = true }

func cause(word string) func(*conf.Event) { return func(e *conf.Event) { e.Cause = word } }

func (l *testLog) write(e conf.Event) {
	line, err := json.Marshal(show.EventJSON("wg0", l.run, &e))
	if err != nil {
		l.t.Fatal(err)
	}
	l.lines = append(append(l.lines, line...), '\n')
}

// miss loses events.
func (l *testLog) miss(n uint64) { l.seq += n }

// each surveys the log, then calls add with each line.
func (l *testLog) each(surveyed func(*Survey), add func(*Line)) {
	l.t.Helper()
	survey := NewSurvey("wg0")
	var lines []Line
	for text := range strings.Lines(string(l.lines)) {
		line, err := Parse([]byte(text))
		if err != nil {
			l.t.Fatalf("%s: %v", text, err)
		}
		lines = append(lines, line)
		survey.Add(&line)
	}
	surveyed(survey)
	for i := range lines {
		add(&lines[i])
	}
}

// replay returns the spans of a log up to a second. Of the seconds after known, there is
// no event in the log.
func (l *testLog) replay(known, until float64) (spans []Span) {
	l.t.Helper()
	var replay *Replay
	l.each(func(s *Survey) { replay = NewReplay(s, func(s Span) { spans = append(spans, s) }) }, func(line *Line) { replay.Add(line) })
	replay.Finish(start.Add(seconds64(known)), start.Add(seconds64(until)))
	return spans
}

// expect compares the spans of all peers. Without a known time, all of the log is known.
func (l *testLog) expect(until float64, want ...string) {
	l.t.Helper()
	l.expectKnown(until, until, want...)
}

func (l *testLog) expectKnown(known, until float64, want ...string) {
	l.t.Helper()
	var got []string
	for _, s := range l.replay(known, until) {
		if s, ok := s.Clip(start, start.Add(time.Hour)); ok {
			state := map[State]string{Connected: "", Unknown: "? "}[s.State]
			got = append(got, fmt.Sprintf("%c %s%g-%g %s", 'a'+rune(s.Peer[0])-1, state, s.From.Sub(start).Seconds(), s.To.Sub(start).Seconds(), s.End))
		}
	}
	slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(a[:1], b[:1]) })
	if !slices.Equal(got, want) {
		l.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// A36: a peer is connected until its keys are RejectAfterTime old. Those of a responder
// are as old as its response.
func TestExpired(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(130, conf.HandshakeDone, 1, renewed)
	l.add(200, conf.HandshakeDone, 2, func(e *conf.Event) { e.Initiator, e.After = false, 5*time.Second })
	l.add(500, conf.HandshakeDone, 1)
	l.expect(600, "a 10-310 expired", "a 500-600 open", "b 200-375 expired")
}

// A quiet peer was connected until then, unless it answers within BackWithin.
func TestQuiet(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(30, conf.PeerQuiet, 1)
	l.add(35, conf.HandshakeDone, 1, renewed)
	l.add(60, conf.PeerQuiet, 1)
	l.add(80, conf.HandshakeDone, 1, renewed)
	l.add(100, conf.PeerQuiet, 1)
	l.add(190, conf.HandshakeFailed, 1)
	l.add(190, conf.SessionEnded, 1, cause("no-answer"))
	l.add(650, conf.HandshakeDone, 1)
	l.add(660, conf.PeerQuiet, 1)
	l.expect(665, "a 10-60 quiet", "a 80-100 quiet", "a 650-665 open")
	l.expect(680, "a 10-60 quiet", "a 80-100 quiet", "a 650-660 quiet")
}

// A peer may be heard again on its session, which ends as if nothing had happened.
func TestBack(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(30, conf.PeerQuiet, 1)
	l.add(39, conf.PeerBack, 1)
	l.add(60, conf.PeerQuiet, 1)
	l.add(120, conf.HandshakeFailed, 1) // the session stays
	l.add(140, conf.PeerBack, 1)
	l.add(300, conf.PeerBack, 2) // it has no session that is known
	l.expect(400, "a 10-60 quiet", "a 140-190 expired")
	if spans := l.replay(400, 400); len(spans) < 3 || fmt.Sprint(spans[len(spans)-1].Endpoints) != "[192.0.2.1:7]" {
		t.Errorf("got %+v", spans)
	}
}

// Handshakes that fail end no connection. Sessions that end, and interfaces that go down,
// do.
func TestEnds(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(20, conf.HandshakeDone, 2)
	l.add(30, conf.HandshakeFailed, 1)
	l.add(40, "unheard-of", 2)
	l.add(50, conf.WentDown, 0)
	l.add(60, conf.HandshakeDone, 1)
	l.add(70, conf.SessionEnded, 1, cause("no-answer"))
	l.add(80, conf.HandshakeDone, 2)
	l.add(90, conf.SessionEnded, 0, cause("private-key-replaced"))
	l.add(100, conf.HandshakeDone, 1)
	l.add(110, conf.HandshakeDone, 2)
	l.add(120, conf.SessionEnded, 1, cause("removed"))
	l.add(289, conf.SessionEnded, 2, cause("expired"))
	l.expect(300, "a 10-50 down", "a 60-70 no-answer", "a 100-120 removed", "b 20-50 down", "b 80-90 ended", "b 110-289 expired")
}

// When events are missing, all is unknown until an event tells, or until sessions that
// were not seen have expired.
func TestGaps(t *testing.T) {
	l := newLog(t)
	for peer := range byte(5) {
		l.add(10, conf.HandshakeDone, peer+1)
	}
	l.miss(3)
	l.add(100, conf.SessionEnded, 4, cause("no-answer"))
	l.add(110, conf.HandshakeDone, 1, renewed) // it had a session at 100
	l.add(120, conf.HandshakeDone, 2)          // it had none now
	l.add(130, conf.PeerQuiet, 5)
	l.add(150, conf.PeerBack, 5)
	l.add(155, conf.PeerBack, 3)      // on a session of before 100
	l.add(400, conf.HandshakeDone, 6) // never heard of before
	l.expect(500,
		"a ? 10-100 known", "a 100-290 expired",
		"b ? 10-120 known", "b 120-300 expired",
		"c ? 10-155 known", "c 155-280 expired",
		"d ? 10-100 known",
		"e ? 10-130 known", "e 150-280 expired",
		"f ? 10-280 known", "f 400-500 open")
}

// A peer that went quiet just before events are missing may have been heard in time.
func TestQuietBeforeAGap(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(10, conf.HandshakeDone, 2)
	l.add(20, conf.PeerQuiet, 1)
	l.add(30, conf.PeerQuiet, 2)
	l.add(35, conf.WentUp, 0)
	l.miss(1)
	l.add(39, conf.PeerBack, 2)
	l.expect(100, "a 10-20 quiet", "a ? 35-100 open", "b 10-30 missed", "b ? 30-39 known", "b 39-100 open")
}

// What wgd watch says about missed events bounds the gap, also at the end of the log.
func TestMissedAtTheEnd(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(20, conf.EndpointMoved, 1)
	l.miss(7)
	l.mark(90, conf.EventsMissed)
	l.expect(400, "a 10-20 missed", "a ? 20-270 known")
	l.add(80, conf.HandshakeDone, 1, renewed)
	l.expect(400, "a 10-20 missed", "a ? 20-80 known", "a 80-260 expired")
}

// A log that does not begin with the daemon says nothing about the time before, nor
// about sessions of that time. One that does says that there were none.
func TestBegins(t *testing.T) {
	l := newLog(t)
	l.add(100, conf.HandshakeDone, 1)
	l.expect(150, "a 100-150 open")
	l = &testLog{t: t}
	l.begin(60, "R1")
	l.add(50, conf.WentUp, 0) // it is kept from before
	l.add(100, conf.HandshakeDone, 1)
	l.expect(150, "a ? 0-50 known", "a 100-150 open")
	l = &testLog{t: t, seq: 6, run: "R1"}
	l.add(50, conf.WentUp, 0)
	l.add(100, conf.HandshakeDone, 1)
	l.expect(150, "a ? 0-100 known", "a 100-150 open")
	l = &testLog{t: t, seq: 6, run: "R1"}
	l.add(50, conf.WentUp, 0)
	l.add(60, conf.WentDown, 0)
	l.add(100, conf.HandshakeDone, 1)
	l.expect(150, "a ? 0-60 known", "a 100-150 open")
}

// A daemon that has ended has no sessions. When it ended is unknown if the log does not
// say so, and what happened after that is if no wgd watch ran.
func TestRestarts(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.mark(50, conf.EventsEnd)
	ended := string(l.lines)
	l.expect(100, "a 10-50 stopped")
	l.mark(60, conf.EventsBegin) // the connection was lost, not the daemon
	l.expect(100, "a 10-100 open")

	l.lines = []byte(ended)
	l.begin(60, "R2")
	l.add(70, conf.HandshakeDone, 2)
	l.expect(100, "a 10-50 stopped", "b 70-100 open")

	l.lines, l.run, l.seq = []byte(ended), "R1", 1
	l.mark(55, conf.WatchStarted)
	l.begin(60, "R2")
	l.add(70, conf.HandshakeDone, 2)
	l.expect(100, "a 10-50 stopped", "a ? 50-60 known", "b ? 50-60 known", "b 70-100 open")

	l = newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(20, conf.EndpointMoved, 1)
	l.mark(55, conf.WatchStarted)
	l.begin(60, "R2")
	l.miss(2) // and the first events are not kept
	l.add(70, conf.HandshakeDone, 2)
	l.expect(300, "a 10-20 missed", "a ? 20-250 known", "b ? 20-70 known", "b 70-250 expired")
}

// After the last event, nothing is known unless a wgd watch writes the log.
func TestAfterTheLog(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(20, conf.WentUp, 0)
	l.expectKnown(100, 150, "a 10-100 missed", "a ? 100-150 open")
	l.expectKnown(0, 150, "a 10-20 missed", "a ? 20-150 open")
	l.mark(30, conf.EventsEnd)
	l.expectKnown(0, 150, "a 10-30 stopped", "a ? 30-150 open")
	l.expectKnown(150, 150, "a 10-30 stopped")
}

// The wall clock may be set: durations do not change, and all times of a run are those of
// the clock after that.
func TestClockIsSet(t *testing.T) {
	l := newLog(t)
	l.clock = -10 * time.Minute
	l.lines = nil
	l.begin(0, "R1")
	l.add(10, conf.HandshakeDone, 1)
	l.add(130, conf.HandshakeDone, 1, renewed)
	l.mark(140, conf.EventsBegin)
	l.clock = 0
	l.add(200, conf.HandshakeDone, 2)
	l.mark(250, conf.EventsEnd)
	l.expect(400, "a 10-250 stopped", "b 200-250 stopped")
}

// The clock may also be set in a later run of the daemon: the times of the runs before move
// with it as long as the computer was not started in between, so that spans do not
// overlap. What is unknown before the first event of a run moves as well.
func TestClockIsSetInALaterRun(t *testing.T) {
	l := newLog(t)
	l.clock = 10 * time.Minute
	l.lines = nil
	l.begin(0, "R1")
	l.add(10, conf.HandshakeDone, 1)
	l.mark(50, conf.EventsEnd)
	l.begin(60, "R2")
	l.add(70, conf.HandshakeDone, 1)
	l.clock = 0
	l.add(80, conf.WentUp, 0)
	l.expect(100, "a 10-50 stopped", "a 70-100 open")

	l.mark(90, conf.WatchStarted)
	l.clock = -10 * time.Minute
	l.begin(200, "R3")
	l.add(150, conf.WentUp, 0)
	l.clock = 0
	l.add(210, conf.WentUp, 0)
	l.expect(300, "a 10-50 stopped", "a 70-80 missed", "a ? 80-150 known")

	// Not if the computer was started, even if its clock begins at the same time each time,
	// nor if the clock was set while no daemon ran.
	for _, c := range []struct{ sinceBoot, clock time.Duration }{{20 * time.Second, 0}, {2 * time.Hour, -10 * time.Minute}} {
		l = newLog(t)
		l.add(10, conf.HandshakeDone, 1)
		l.mark(50, conf.EventsEnd)
		l.clock = c.clock
		if c.clock == 0 {
			l.clock = c.sinceBoot - time.Hour - 60*time.Second
		}
		l.begin(60, "R2")
		l.add(60, conf.WentUp, 0, func(e *conf.Event) { e.SinceBoot = c.sinceBoot })
		l.clock = 0
		l.add(70, conf.HandshakeDone, 1, func(e *conf.Event) { e.SinceBoot = c.sinceBoot + 10*time.Second })
		l.expect(100, "a 10-50 stopped", "a 70-100 open")
	}
}

// The end of a daemon tells how many events there were.
func TestMissedBeforeTheEnd(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(20, conf.WentUp, 0)
	l.miss(1)
	l.mark(90, conf.EventsEnd)
	l.expect(300, "a 10-20 missed", "a ? 20-90 known")
	l.begin(100, "R2")
	l.add(110, conf.HandshakeDone, 2)
	l.expect(120, "a 10-20 missed", "a ? 20-90 known", "b ? 20-90 known", "b 110-120 open")
}

// A span has the endpoints, the last of them however many there are, and the number of
// sessions.
func TestEndpoints(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(11, conf.HandshakeDone, 1, renewed)
	for port := range uint16(30) {
		l.add(20, conf.EndpointMoved, 1, func(e *conf.Event) { e.Endpoint = netip.AddrPortFrom(e.Endpoint.Addr(), 100+port) })
	}
	spans := l.replay(100, 100)
	spans = slices.DeleteFunc(spans, func(s Span) bool { return s.State != Connected })
	if len(spans) != 1 || spans[0].Sessions != 2 {
		t.Fatalf("got %+v", spans)
	}
	list := spans[0].Endpoints
	if len(list) != maxEndpoints || list[0].Port() != 7 || list[1].Port() != 100 || list[maxEndpoints-1].Port() != 129 {
		t.Errorf("got the endpoints %v", list)
	}
}
