package fleet

import (
	"context"
	"iter"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/key"
)

const (
	// cutTime is how long a call waits for a store that does not answer.
	cutTime = 8 * time.Second
	// refusedTime is how long it waits for one that refuses connections.
	refusedTime = 10 * time.Millisecond
)

// A state is how well a gateway reaches the store.
type state int

const (
	works   state = iota
	slow          // calls take up to three seconds
	silent        // calls wait in vain, and so does a watch
	refuses       // calls and the watch fail at once
	deaf          // only the watch reports nothing
)

// A way leads from a gateway to the store.
type way struct {
	mu      sync.Mutex
	dice    *rand.Rand
	state   state
	changed chan struct{} // is closed at the next change of the state
}

func newWay(dice *rand.Rand) *way { return &way{dice: dice, changed: make(chan struct{})} }

func (y *way) set(s state) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.state = s
	close(y.changed)
	y.changed = make(chan struct{})
}

// now returns the state, the end of it, and how long a call takes.
func (y *way) now() (state, chan struct{}, time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	longest := 5 * time.Millisecond
	if y.state == slow {
		longest = 3 * time.Second
	}
	return y.state, y.changed, time.Millisecond + time.Duration(y.dice.Int64N(int64(longest)))
}

// A link is the store as one process of serve uses it.
type link struct {
	store.Store
	way  *way
	gone chan struct{} // is closed when that process is killed
	skew time.Duration // of the clock of the gateway, which serve does not see here
}

// use is what each call does first.
func (l *link) use(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cutTime)
	defer cancel()
	for {
		state, changed, took := l.way.now()
		switch state {
		case silent:
			select {
			case <-changed:
			case <-ctx.Done():
				return errCut
			case <-l.gone:
				return errCut
			}
			continue
		case refuses:
			l.pause(ctx, refusedTime)
			return errCut
		}
		if !l.pause(ctx, took) {
			return errCut
		}
		return nil
	}
}

// pause waits, and returns false if ctx or the process has ended.
func (l *link) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
	case <-l.gone:
	}
	return false
}

func (l *link) ByKey(ctx context.Context, public key.Public) (*store.Peer, error) {
	if err := l.use(ctx); err != nil {
		return nil, err
	}
	return l.Store.ByKey(ctx, public)
}

func (l *link) ByEndpoint(ctx context.Context, e netip.AddrPort) (*store.Peer, error) {
	if err := l.use(ctx); err != nil {
		return nil, err
	}
	return l.Store.ByEndpoint(ctx, e)
}

func (l *link) ByAddress(ctx context.Context, a netip.Addr) (*store.Peer, error) {
	if err := l.use(ctx); err != nil {
		return nil, err
	}
	return l.Store.ByAddress(ctx, a)
}

func (l *link) Revision(ctx context.Context) (store.Revision, error) {
	if err := l.use(ctx); err != nil {
		return 0, err
	}
	return l.Store.Revision(ctx)
}

func (l *link) Record(ctx context.Context, list []store.Sighting) (int, error) {
	if err := l.use(ctx); err != nil {
		return 0, err
	}
	return l.Store.Record(ctx, list)
}

// RaiseCeiling is what a process gets whose clock is that of the gateway.
func (l *link) RaiseCeiling(ctx context.Context, needed, to time.Time) (time.Time, error) {
	if err := l.use(ctx); err != nil {
		return time.Time{}, err
	}
	ceiling, err := l.Store.RaiseCeiling(ctx, needed.Add(l.skew), to.Add(l.skew))
	return ceiling.Add(-l.skew), err
}

// Watch reports changes up to 100 ms late. While the store cannot be heard, it waits.
func (l *link) Watch(ctx context.Context, since store.Revision) iter.Seq2[store.Changes, error] {
	return func(yield func(store.Changes, error) bool) {
		if l.use(ctx) != nil {
			yield(store.Changes{}, errCut)
			return
		}
		for c, err := range l.Store.Watch(ctx, since) {
			_, _, took := l.way.now()
			if !l.pause(ctx, min(15*took, 100*time.Millisecond)) {
				return
			}
			for hears := false; !hears; {
				state, changed, _ := l.way.now()
				switch state {
				case refuses:
					yield(store.Changes{}, errCut)
					return
				case silent, deaf:
					select {
					case <-changed:
					case <-ctx.Done():
						return
					}
				default:
					hears = true
				}
			}
			if !yield(c, err) {
				return
			}
		}
	}
}
