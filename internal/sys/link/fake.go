package link

import (
	"net/netip"
	"sync"
)

// FakeWatcher is a Watcher whose states are given by a test.
type FakeWatcher struct {
	mu     sync.Mutex
	closed bool
	states chan State
}

// NewFakeWatcher begins with that state.
func NewFakeWatcher(first State) *FakeWatcher {
	w := &FakeWatcher{states: make(chan State, 64)}
	w.Set(first)
	return w
}

// Set lets the interface be in a new state. It waits while 64 are unread.
func (w *FakeWatcher) Set(state State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.states <- state
	if state.Gone {
		w.closed = true
		close(w.states)
	}
}

// States gives what Set was given.
func (w *FakeWatcher) States() <-chan State { return w.states }

// Close closes the channel.
func (w *FakeWatcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		close(w.states)
	}
}

// FakeRoutes is a RouteWatcher whose answers are given by a test.
type FakeRoutes struct {
	mu      sync.Mutex
	indices map[netip.Addr]int
	changed chan struct{}
}

// NewFakeRoutes begins without any route.
func NewFakeRoutes() *FakeRoutes {
	return &FakeRoutes{indices: map[netip.Addr]int{}, changed: make(chan struct{}, 1)}
}

// Set routes remote over the interface with that index, and tells it; 0
// removes the route.
func (r *FakeRoutes) Set(remote netip.Addr, index int) {
	r.mu.Lock()
	r.indices[remote.Unmap()] = index
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Changed gets a value after Set.
func (r *FakeRoutes) Changed() <-chan struct{} { return r.changed }

// Index is what Set gave.
func (r *FakeRoutes) Index(remote, _ netip.Addr, _ uint32) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index := r.indices[remote.Unmap()]; index != 0 {
		return index, nil
	}
	return 0, ErrNoRoute
}

// Close does nothing.
func (r *FakeRoutes) Close() {}
