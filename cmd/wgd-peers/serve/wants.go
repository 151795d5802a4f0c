package serve

import (
	"time"

	"wgd/conf"
)

// want takes a want of the daemon.
func (s *served) want(w *conf.Want) {
	about, ok := subjectOf(w)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case w.Kind == conf.WantsMissed:
		s.figures.missed += w.Missed
		return
	case !ok:
		return
	}
	s.figures.wants[w.Kind]++
	if !about.key.IsZero() {
		delete(s.byHand, about.key) // no peer has it now
		s.forget(about.key)         // somebody has removed it
	}
	if s.tasks.all[about] == nil && len(s.tasks.all) >= maxTasks {
		s.figures.refused[busy]++
		return // there are too many to say so; the daemon forgets it after a minute
	}
	t := s.tasks.add(about)
	t.asked.wanted = t.asked.wanted || !about.key.IsZero()
	if t.asked.since.IsZero() {
		t.asked.since = time.Now()
	}
}

// subjectOf returns what a want is about; ok is false if this program does not know its kind.
func subjectOf(w *conf.Want) (about subject, ok bool) {
	switch w.Kind {
	case conf.UnknownPeerKey:
		return subject{key: w.Key}, true
	case conf.UnknownSession:
		return subject{endpoint: w.Endpoint}, true
	case conf.UnknownDestination:
		return subject{address: w.Address}, true
	}
	return subject{}, false
}
