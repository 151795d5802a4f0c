package history

import (
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/key"
)

// A Survey is what must be known of the whole log before a Replay.
type Survey struct {
	name   string
	runs   map[string]*run
	latest *run                  // the run of the last event
	others map[string]bool       // interfaces, at most maxOthers
	names  map[key.Public]string // of the peers: the last one, or ""
	owners map[string]key.Public // of the names: the last one
	first  time.Time             // of the interface
	last   time.Time
}

// A run is one of the daemon.
type run struct {
	events bool          // there was one, so the others are known
	first  time.Time     // the time at which SinceBoot was zero, by the first event
	boot   time.Time     // likewise, by the last one
	since  time.Duration // SinceBoot of that
	next   *run          // the run that followed without a start of the computer in between, or nil
}

// sameBoot is by how much two events may disagree about the time at which SinceBoot was
// zero if the computer was not started between them, and its clock was not set.
const sameBoot = time.Second

// maxOthers is how many names of other interfaces are remembered.
const maxOthers = 20

// NewSurvey returns an empty survey of the events of an interface.
func NewSurvey(name string) *Survey {
	return &Survey{
		name: name, runs: map[string]*run{}, others: map[string]bool{},
		names: map[key.Public]string{}, owners: map[string]key.Public{},
	}
}

// Add adds the next line of the log.
func (s *Survey) Add(l *Line) {
	if l.Interface != s.name {
		if len(s.others) < maxOthers {
			s.others[l.Interface] = true
		}
		return
	}
	r := s.runs[l.Run]
	if r == nil {
		r = &run{}
		s.runs[l.Run] = r
	}
	if hasBothClocks(&l.Event) {
		s.clocks(r, &l.Event)
	}
	if e := &l.Event; isOfPeer(e) {
		if e.Name != "" || s.names[e.Peer] == "" {
			s.names[e.Peer] = e.Name
		}
		if e.Name != "" {
			s.owners[e.Name] = e.Peer
		}
	}
	if s.first.IsZero() || l.Event.Time.Before(s.first) {
		s.first = l.Event.Time
	}
	if l.Event.Time.After(s.last) {
		s.last = l.Event.Time
	}
}

// clocks notes what an event says about the clocks of its run.
func (s *Survey) clocks(r *run, e *conf.Event) {
	boot := e.Time.Add(-e.SinceBoot)
	if before := s.latest; !r.events && before != nil && e.SinceBoot >= before.since && boot.Sub(before.boot).Abs() <= sameBoot {
		before.next = r
	}
	if !r.events {
		r.events, r.first = true, boot
	}
	r.boot, r.since = boot, e.SinceBoot
	s.latest = r
}

// boots returns the time at which SinceBoot was zero: by the first event of a run, and by
// the last one of it or of the runs that followed on it. Both are zero if it has no event.
func (s *Survey) boots(name string) (first, last time.Time) {
	r := s.runs[name]
	if r == nil {
		return first, last
	}
	first = r.first
	for r.next != nil {
		r = r.next
	}
	return first, r.boot
}

// hasBothClocks reports whether the clocks of an event say when it happened. Those that
// are not from the interface have the wall clock of when they were written.
func hasBothClocks(e *conf.Event) bool { return e.SinceBoot != 0 && !isMark(e.Kind) }

// isMark reports whether events of this kind are about the log and are not numbered.
func isMark(kind conf.EventKind) bool {
	switch kind {
	case conf.EventsBegin, conf.EventsEnd, conf.EventsMissed, conf.WatchStarted:
		return true
	}
	return false
}

// isOfPeer reports whether an event tells something about a peer. Others may name the key of
// a stranger.
func isOfPeer(e *conf.Event) bool {
	switch e.Kind {
	case conf.HandshakeDone, conf.HandshakeFailed, conf.EndpointMoved, conf.PeerQuiet, conf.PeerBack, conf.SessionEnded, conf.NameFailed, conf.NameFound:
		return !e.Peer.IsZero()
	}
	return false
}

// Bounds returns the time of the first and of the last event of the interface. ok is
// false if there is none.
func (s *Survey) Bounds() (first, last time.Time, ok bool) {
	return s.first, s.last, !s.first.IsZero()
}

// Others returns names of other interfaces that the log has, sorted.
func (s *Survey) Others() []string {
	var list []string
	for name := range s.others {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Peers returns the peers that the log names, in the order of their names, each with the
// name under which it is shown: its own, or digits of its key if it has none, or if
// another peer got it later.
func (s *Survey) Peers() []NamedPeer {
	status := make([]conf.PeerStatus, 0, len(s.names))
	for public, name := range s.names {
		if s.owners[name] != public {
			name = ""
		}
		status = append(status, conf.PeerStatus{PublicKey: public, Name: name})
	}
	list := make([]NamedPeer, len(status))
	for i, name := range show.Names(status) {
		list[i] = NamedPeer{Key: status[i].PublicKey, Name: name, Named: status[i].Name != ""}
	}
	slices.SortFunc(list, func(a, b NamedPeer) int { return show.CompareNames(a.Name, b.Name) })
	return list
}

// A NamedPeer is a peer and the name under which it is shown.
type NamedPeer struct {
	Key   key.Public
	Name  string
	Named bool // Name is its own
}
