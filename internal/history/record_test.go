package history

import (
	"slices"
	"testing"
	"time"

	"wgd/conf"
	"wgd/key"
)

// records returns what a log says about a range of seconds, in four cells.
func (l *testLog) records(from, to float64) []*Record {
	l.t.Helper()
	records := NewRecords(start.Add(seconds64(from)), start.Add(seconds64(to)), 4, func(k key.Public) bool { return k == key.Public{1} })
	var survey *Survey
	var replay *Replay
	l.each(func(s *Survey) { survey, replay = s, NewReplay(s, records.Add) }, func(line *Line) { replay.Add(line) })
	replay.Finish(start.Add(seconds64(to)), start.Add(seconds64(to)))
	return records.Finish(replay, survey.Peers())
}

// A record adds up what is in the range, as a whole and in each cell, and keeps the spans
// of the peers that are wanted.
func TestRecords(t *testing.T) {
	l := newLog(t)
	l.add(0, conf.HandshakeFailed, 3)
	l.add(10, conf.HandshakeDone, 1)
	l.add(40, conf.PeerQuiet, 1)
	l.add(60, conf.HandshakeDone, 1)
	l.add(70, conf.HandshakeDone, 2)
	l.miss(1)
	l.add(90, conf.HandshakeDone, 1, renewed)
	l.add(95, conf.SessionEnded, 2)
	list := l.records(20, 100) // cells of 20 seconds
	if len(list) != 3 || list[0].Name != "a" || list[2].Name != "c" || !list[0].Named {
		t.Fatalf("got %+v", list)
	}
	s := time.Second
	a, b, c := list[0], list[1], list[2]
	if a.Connected != 40*s || a.Unknown != 20*s || a.Connections != 3 || a.AtEnd != Connected || !a.LastSeen.Equal(start.Add(90*s)) || len(a.Spans) != 4 {
		t.Errorf("a: got %+v", a)
	}
	if want := []Cell{{20 * s, 0}, {0, 0}, {10 * s, 10 * s}, {10 * s, 10 * s}}; !slices.Equal(a.Cells, want) {
		t.Errorf("a: got cells %v, want %v", a.Cells, want)
	}
	if first := a.Spans[0]; !first.Since.Equal(start.Add(10*s)) || !first.From.Equal(start.Add(20*s)) || first.End != Quiet {
		t.Errorf("a: the first span is %+v", first)
	}
	if b.Connected != 0 || b.Unknown != 25*s || b.AtEnd != 0 || b.Spans != nil {
		t.Errorf("b: got %+v", b)
	}
	if c.Connections != 0 || !c.LastSeen.IsZero() || c.Unknown != 30*s || c.AtEnd != Unknown || len(c.Spans) != 0 {
		t.Errorf("c: got %+v", c)
	}
}

// A name belongs to the peer that had it last, and the other one is shown with digits.
func TestNamesOfPeers(t *testing.T) {
	l := newLog(t)
	l.add(10, conf.HandshakeDone, 1)
	l.add(20, conf.HandshakeDone, 2, func(e *conf.Event) { e.Name = "a" })
	l.add(30, conf.HandshakeDone, 3, func(e *conf.Event) { e.Name = "" })
	l.add(40, "handshake-refused", 4) // of a stranger, perhaps
	var survey *Survey
	l.each(func(s *Survey) { survey = s }, func(*Line) {})
	want := []NamedPeer{{key.Public{1}, "01000000", false}, {key.Public{3}, "03000000", false}, {key.Public{2}, "a", true}}
	if got := survey.Peers(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
