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

// NewWatcher returns one that begins with a state.
func NewWatcher(first link.State) *Watcher {
	w := &Watcher{states: make(chan link.State, 64)}
	w.Set(first)
	return w
}

// Set sets the state of the interface. It waits while 64 states are unread.
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

// States delivers what Set was given.
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
	answer  func(link.Question) link.Route
	pending []netip.Prefix
	asked   int
	err     error
	changed chan struct{}
}

// NewRoutes returns one that finds no route.
func NewRoutes() *Routes {
	return &Routes{answer: func(link.Question) link.Route { return link.Route{} }, changed: make(chan struct{}, 1)}
}

// Answer has f answer from now on. It reports no change.
func (r *Routes) Answer(f func(link.Question) link.Route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// Fail has Ask return err, until that is nil.
func (r *Routes) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// Change reports that the routes to these prefixes may have changed.
func (r *Routes) Change(prefixes ...netip.Prefix) {
	r.mu.Lock()
	r.pending = append(r.pending, prefixes...)
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Changed gets a value after Change.
func (r *Routes) Changed() <-chan struct{} { return r.changed }

// Changes returns what Change was given since Changes was last called.
func (r *Routes) Changes() []netip.Prefix {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.pending
	r.pending = nil
	return list
}

// Asked is how many questions were answered so far.
func (r *Routes) Asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// Ask answers with the function that Answer set.
func (r *Routes) Ask(questions []link.Question, routes []link.Route) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	for i, q := range questions {
		routes[i] = r.answer(q)
	}
	r.asked += len(questions)
	return nil
}

// Close does nothing.
func (r *Routes) Close() {}
