package serve

import (
	"context"
	"errors"
	"time"

	"wgd/cmd/wgd-peers/store"
)

const (
	// lookUps is how many look-ups of one interface are made at the same time.
	lookUps = 64
	// lookUpTime is how long a look-up may take. After that time, the sender of what is
	// waiting will soon send again.
	lookUpTime = 2 * time.Second
	// storePause is how long peers that need no answer are not looked up after the store
	// or the daemon has failed.
	storePause = time.Second
)

// lookUpAll looks up one subject after the other.
func (s *served) lookUpAll(ctx context.Context) {
	for t := s.tasks.next(ctx); t != nil; t = s.tasks.next(ctx) {
		begin := time.Now()
		t.peer, t.err = s.lookUp(ctx, t.subject)
		s.server.lookedUp(time.Since(begin), unusable(t.peer, t.err), t.err)
		s.tasks.done(t)
	}
}

func (s *served) lookUp(ctx context.Context, about subject) (*store.Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	peers := s.server.store
	switch {
	case about.endpoint.IsValid():
		return peers.ByEndpoint(ctx, about.endpoint)
	case about.address.IsValid():
		return peers.ByAddress(ctx, about.address)
	}
	return peers.ByKey(ctx, about.key)
}

// unusable returns why no interface may have a peer that was looked up; "" if one may.
func unusable(p *store.Peer, err error) refusalReason {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notInStore
	case err != nil:
		return storeFails
	case !p.Revoked.IsZero():
		return revoked
	case p.Problem != "" || p.Check() != nil:
		return notUsable
	}
	return ""
}
