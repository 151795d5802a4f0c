package web

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/explain"
	"wgd/internal/live"
	"wgd/key"
)

// An entry is what is known of one interface beside its rows.
type entry struct {
	name    string
	err     error            // why it cannot be read
	fixed   string           // why this process may not change it; "": it may
	facts   explain.Facts    // of the last reading, without secrets
	reasons []explain.Reason // of the interface

	numbers map[key.Public]int // of the peers in facts; nil: not made yet
}

// A source keeps the interfaces for all browsers, and reads them only if somebody asks.
type source struct {
	mu      sync.Mutex
	at      time.Time     // of the last reading
	pause   time.Duration // until the next one
	version uint64        // counts the readings
	err     error         // why the interfaces are not known
	table   live.Table
	entries map[string]*entry
	order   []string // their names
}

// with calls f while nothing changes, after reading the daemons if the last reading is
// too old.
func (s *source) with(f func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.at) >= s.pause {
		s.read(now)
		s.at = time.Now()
		s.pause = live.Pause(s.at.Sub(now))
	}
	f(s)
}

func (s *source) read(now time.Time) {
	s.version++
	names, err := control.Names()
	s.err = err
	entries := make(map[string]*entry, len(names))
	s.order = s.order[:0]
	for _, r := range control.Statuses(names) {
		if errors.Is(r.Err, control.ErrNotRunning) {
			continue // it has ended meanwhile
		}
		e := cmp.Or(s.entries[r.Name], &entry{name: r.Name})
		if e.err = r.Err; e.err == nil {
			s.update(e, now, &r.Status)
		}
		entries[r.Name], s.order = e, append(s.order, r.Name)
	}
	s.entries = entries
	s.table.Keep(s.order)
}

func (s *source) update(e *entry, now time.Time, status *conf.Status) {
	status.Erase()
	if e.facts.Status == nil || e.fixed != "" { // it may have been a passing error
		e.fixed = fixed(e.name)
	}
	s.table.Update(now, status)
	e.facts = explain.Facts{Now: now, Status: status, Names: show.Names(status.Peers)}
	e.reasons, e.numbers = e.facts.Reasons(), nil
}

// fixed returns why this process may not change an interface; "": it may. It requests a
// change of nothing.
func fixed(name string) string {
	client, err := control.Dial(name)
	if err != nil {
		return err.Error()
	}
	defer client.Close()
	if err := client.Apply(conf.Change{}); err != nil {
		return err.Error()
	}
	return ""
}

// number returns the number of a peer in the facts.
func (e *entry) number(public key.Public) int {
	if e.numbers == nil {
		e.numbers = make(map[key.Public]int, len(e.facts.Status.Peers))
		for i := range e.facts.Status.Peers {
			e.numbers[e.facts.Status.Peers[i].PublicKey] = i
		}
	}
	return e.numbers[public]
}
