package serve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
)

const (
	// maxBatch is how many peers are set with one request.
	maxBatch = 1000
	// shortRefusal is for how long a want is refused if it may be answered soon.
	shortRefusal = 3 * time.Second
)

// A batch is what is to be said to the daemon about some tasks.
type batch struct {
	answers  []answer
	changes  []conf.PeerChange // of one answer each
	of       []answer          // those of the changes
	refusals []conf.Refusal
}

// answerAll tells the daemon what was looked up: all that is ready, in one request.
func (s *served) answerAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.tasks.filled:
		}
		for ctx.Err() == nil {
			b := s.prepare()
			if len(b.answers) == 0 {
				break
			}
			s.apply(ctx, &b)
			for _, r := range b.refusals {
				if err := s.daemon.Refuse(ctx, r); err != nil {
					s.server.log.Debug(fmt.Sprintf("%s: a refusal was not delivered: %v", s.name, err))
					break // the daemon has ended, or does not know such refusals
				}
			}
			s.finish(&b)
		}
	}
}

// prepare decides about the tasks that are ready.
func (s *served) prepare() (b batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(b.answers) == 0 && len(s.tasks.ready) > 0 {
		b.answers = s.tasks.takeReady(maxBatch)
	}
	for _, a := range b.answers {
		s.decide(&b, a)
	}
	return b
}

// decide adds to the batch what follows from a look-up.
func (s *served) decide(b *batch, a answer) {
	reason := unusable(a.peer, a.err)
	if a.subject.key.IsZero() && reason == "" {
		s.redirect(b, a)
		return
	}
	h := s.held[a.subject.key]
	switch {
	case reason == storeFails:
		s.tasks.rest(storePause)
		if h != nil { // it may have been revoked
			s.tasks.idle = append(s.tasks.idle, a.subject.key)
		}
		s.refuse(b, a, reason, shortRefusal)
	case reason != "":
		if h != nil {
			s.change(b, a, conf.PeerChange{PublicKey: a.subject.key, Remove: true})
		}
		s.refuse(b, a, reason, conf.MaxRefusal)
	case s.byHand[a.subject.key]:
		s.refuse(b, a, byHand, conf.MaxRefusal)
	default:
		s.lend(b, a)
	}
}

// lend adds the change that lends a peer, if the interface does not have it so already.
func (s *served) lend(b *batch, a answer) {
	h := s.held[a.subject.key]
	if h != nil {
		s.recordUnseen(h, a.peer)
	}
	at := a.at
	if at.IsValid() {
		if reason := s.call(a); reason != "" {
			s.refuseEach(b, a, reason, shortRefusal, slices.DeleteFunc(slices.Clone(a.causes), func(c subject) bool { return !c.endpoint.IsValid() }))
			at = netip.AddrPort{}
			if h == nil && !a.wanted {
				return
			}
		}
	}
	if h != nil && h.digest == digestOf(a.peer) && a.since.IsZero() {
		return
	}
	keep := h != nil && !h.unsure && !slices.ContainsFunc(a.causes, func(c subject) bool { return c.address.IsValid() })
	c, err := lend(a.peer, s.server.options.Lent, keep, at)
	if err != nil { // unusable has checked it
		s.refuse(b, a, notUsable, conf.MaxRefusal)
		return
	}
	s.change(b, a, c)
}

// redirect continues the task of an endpoint or an address as one of the peer that was found. The
// peer is looked up again only if that may have changed since the look-up began.
func (s *served) redirect(b *batch, a answer) {
	if at := a.subject.endpoint; at.IsValid() && a.peer.Seen.Endpoint != at {
		s.refuse(b, a, notSeenThere, conf.MaxRefusal)
		return
	}
	about := subject{key: a.peer.PublicKey}
	t, fresh := s.tasks.all[about], false
	if fresh = t == nil && !s.changes.since(a.begun, a.peer.PublicKey); fresh {
		t = &task{subject: about, begun: a.begun, peer: a.peer}
		s.tasks.all[about] = t
		a.task.peer = nil
	} else {
		t = s.tasks.add(about)
	}
	if t.asked.since.IsZero() {
		t.asked.since = a.since
	}
	if a.subject.endpoint.IsValid() {
		t.asked.at = a.subject.endpoint
	}
	t.asked.wanted = t.asked.wanted || a.subject.address.IsValid()
	t.asked.causes = append(t.asked.causes, a.subject)
	if fresh {
		next := answer{t, t.asked}
		t.asked = asked{}
		b.answers = append(b.answers, next)
		s.decide(b, next)
	}
}

func (s *served) change(b *batch, a answer, c conf.PeerChange) {
	b.changes, b.of = append(b.changes, c), append(b.of, a)
}

// refuse adds refusals of what waits for an answer.
func (s *served) refuse(b *batch, a answer, reason refusalReason, d time.Duration) {
	s.refuseEach(b, a, reason, d, append([]subject{a.subject}, a.causes...))
}

// refuseEach adds refusals of some of what waits for an answer: the first is what is shown.
func (s *served) refuseEach(b *batch, a answer, reason refusalReason, d time.Duration, list []subject) {
	if a.since.IsZero() || len(list) == 0 {
		return
	}
	s.refused.add(refusal{time.Now(), list[0], label(a.peer), reason})
	s.figures.refused[reason]++
	for _, about := range list {
		b.refusals = append(b.refusals, refusalOf(about, d))
	}
}

// refusalOf returns the refusal of a want.
func refusalOf(about subject, d time.Duration) conf.Refusal {
	return conf.Refusal{Key: about.key, Endpoint: about.endpoint, Address: about.address, For: d}
}

// apply makes the changes of a batch. If the daemon refuses them together, it makes them one
// by one, so that one peer does no harm to others.
func (s *served) apply(ctx context.Context, b *batch) {
	if len(b.changes) == 0 {
		return
	}
	err := s.set(ctx, b.changes)
	var refused *uapi.Error
	if errors.As(err, &refused) && len(b.changes) > 1 {
		for i := range b.changes {
			s.applied(b, i, s.set(ctx, b.changes[i:i+1]))
		}
		return
	}
	for i := range b.changes {
		s.applied(b, i, err)
	}
}

// set makes changes. An error about what they are is one of the daemon, also if it is found
// before they are sent: two peers may have one name for a moment.
func (s *served) set(ctx context.Context, changes []conf.PeerChange) error {
	c := conf.Change{Peers: changes, StampFloor: s.server.clock.floor()}
	if err := c.Validate(); err != nil {
		return &uapi.Error{Errno: uapi.EINVAL, Sentence: err.Error()}
	}
	return s.daemon.Apply(ctx, c)
}

// applied takes the result of one change.
func (s *served) applied(b *batch, i int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a := &b.changes[i], b.of[i]
	var refused *uapi.Error
	switch {
	case errors.As(err, &refused):
		s.server.complaints.add("daemon", fmt.Sprintf("%s: the daemon refuses peer %s: %v", s.name, a.label(), err))
		s.refuse(b, a, daemonRefuses, conf.MaxRefusal)
	case err != nil: // the daemon may have ended, or only this connection
		if !c.Remove && s.held[c.PublicKey] == nil {
			s.hold(a).unsure = true
		}
		s.tasks.putBack(c.PublicKey)
	case c.Remove:
		s.forget(c.PublicKey)
		s.figures.removed++
		s.server.complaints.add("removed", fmt.Sprintf("%s: peer %s was removed: it is revoked, deleted or cannot be used", s.name, a.label()))
	default:
		h := s.held[c.PublicKey]
		if h == nil {
			h = s.hold(a)
			s.figures.lent++
		} else if h.unsure {
			h.unsure = false
			s.figures.lent++
		}
		h.name, h.digest, h.pass = a.peer.Name, digestOf(a.peer), s.pass
		s.setRoutes(h, a.peer.AllowedIPs)
		if !a.since.IsZero() {
			s.figures.answered.add(time.Since(a.since))
		}
	}
}

// hold adds a peer that is lent.
func (s *served) hold(a answer) *held {
	h := &held{since: time.Now(), endpoint: a.peer.Seen.Endpoint}
	if a.heardAt.IsValid() {
		h.endpoint = a.heardAt
	}
	s.held[a.subject.key] = h
	return h
}

// finish ends the tasks of a batch.
func (s *served) finish(b *batch) {
	change := conf.Change{Peers: b.changes}
	change.Erase()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range b.answers {
		s.tasks.finish(a.task)
	}
}
