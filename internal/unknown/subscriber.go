package unknown

import (
	"context"
	"sync/atomic"

	"wgd/conf"
)

// maxWaiting is how many wants wait for a subscriber: those of one second.
const maxWaiting = 1024

// A Subscriber gets wants.
type Subscriber struct {
	wants  chan conf.Want
	missed atomic.Uint64 // since the last WantsMissed
}

// Subscribe returns a Subscriber, which gets all wants from now on. If there are
// several, each gets all.
func (t *Table) Subscribe() *Subscriber {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &Subscriber{wants: make(chan conf.Want, maxWaiting)}
	if t.ended {
		close(s.wants)
		return s
	}
	t.subscribers[s] = struct{}{}
	t.on.Store(true)
	return s
}

// Unsubscribe ends a subscription. When there is no subscriber any more, everything that
// is kept is dropped.
func (t *Table) Unsubscribe(s *Subscriber) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.subscribers, s)
	if len(t.subscribers) == 0 {
		t.on.Store(false)
		t.clear()
	}
}

// End ends all subscriptions, and those that follow.
func (t *Table) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.on.Store(false)
	t.clear()
	for s := range t.subscribers {
		close(s.wants)
	}
	clear(t.subscribers)
}

// report passes a want to the subscribers, and reports whether any of them had room for it:
// none had if the last one went after Active was asked. Then its subject must be forgotten,
// and is reported when it arrives again. The caller holds mu.
func (t *Table) report(w conf.Want) (taken bool) {
	for s := range t.subscribers {
		select {
		case s.wants <- w:
			taken = true
		default:
			s.missed.Add(1)
		}
	}
	return taken
}

// miss counts a want that was not reported. The caller holds mu.
func (t *Table) miss() {
	for s := range t.subscribers {
		s.missed.Add(1)
	}
}

// Next waits for the next want. It returns false when the Table has ended, or ctx is
// done and no want waits.
func (s *Subscriber) Next(ctx context.Context) (conf.Want, bool) {
	if n := s.missed.Swap(0); n > 0 {
		return conf.Want{Kind: conf.WantsMissed, Missed: n}, true
	}
	select {
	case w, ok := <-s.wants:
		return w, ok
	default:
	}
	select {
	case w, ok := <-s.wants:
		return w, ok
	case <-ctx.Done():
		return conf.Want{}, false
	}
}
