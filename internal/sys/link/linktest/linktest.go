package linktest

import (
	"net/netip"
	"sync"

	"wgd/internal/sys/link"
)

var (
	_ link.Watcher      = (*Watcher)(nil)
	_ link.RouteWatcher = (*Routes)(nil)
)

// Watcher is a link.Watcher whose states the test sets.
type Watcher struct {
	mu     sync.Mutex
	closed bool
	states chan link.State
}

// NewWatcher begins with that state.
func NewWatcher(first link.State) *Watcher {
	w := &Watcher{states: make(chan link.State, 64)}
	w.Set(first)
	return w
}

// Set lets the interface be in a new state. It waits while 64 are unread.
func (w *Watcher) Set(state link.State) {
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
func (w *Watcher) States() <-chan link.State { return w.states }

// Close closes the channel.
func (w *Watcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		close(w.states)
	}
}

// Routes is a link.RouteWatcher whose answers the test sets.
type Routes struct {
	mu      sync.Mutex
	indices map[netip.Addr]int
	changed chan struct{}
}

// NewRoutes begins without any route.
func NewRoutes() *Routes {
	return &Routes{indices: map[netip.Addr]int{}, changed: make(chan struct{}, 1)}
}

// Set routes remote over the interface with that index, and tells it; 0
// removes the route.
func (r *Routes) Set(remote netip.Addr, index int) {
	r.mu.Lock()
	r.indices[remote.Unmap()] = index
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Changed gets a value after Set.
func (r *Routes) Changed() <-chan struct{} { return r.changed }

// Index is what Set gave.
func (r *Routes) Index(remote, _ netip.Addr, _ uint32) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index := r.indices[remote.Unmap()]; index != 0 {
		return index, nil
	}
	return 0, link.ErrNoRoute
}

// Close does nothing.
func (r *Routes) Close() {}
