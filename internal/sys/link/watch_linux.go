package link

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns"
)

const (
	// settleTime is how long an interface may be in no namespace before it
	// counts as deleted: during a move it is nowhere for a moment.
	settleTime = 2 * time.Second
	settleStep = 5 * time.Millisecond

	// pollTime is how often one looks where one may not listen.
	pollTime = 500 * time.Millisecond
)

// errGone is the driver's word that no interface belongs to its file.
var errGone = errors.New("the interface was deleted")

// watcher follows an interface from home. The goroutine run owns everything
// but the fields under the lock.
type watcher struct {
	device Device
	home   *home
	states chan State
	done   chan struct{}
	last   State
	any    bool // last was sent

	mu     sync.Mutex
	closed bool
	place  *place // nil when closed
}

// place is the interface in one namespace. Nothing of the namespace is open: it
// would be kept alive after it was deleted, and the interface in it (B52).
type place struct {
	ns     os.FileInfo // nil where it is out of sight
	id     int         // of the namespace, at home
	index  int
	events *subscription // nil where one must look now and then
}

// Watch follows the interface until it is deleted or the Watcher is closed.
func Watch(device Device) (Watcher, error) {
	h, err := newHome()
	if err != nil {
		return nil, fmt.Errorf("watch the interface: %w", err)
	}
	w := &watcher{device: device, home: h, states: make(chan State, 16), done: make(chan struct{})}
	first, err := w.arm()
	if err != nil {
		h.close()
		return nil, fmt.Errorf("watch the interface: %w", err)
	}
	go w.run(first)
	return w, nil
}

func (w *watcher) States() <-chan State { return w.states }

func (w *watcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	close(w.done)
	if w.place != nil {
		w.place.close()
		w.place = nil
	}
}

// run tells the states until the end.
func (w *watcher) run(first State) {
	defer close(w.states)
	defer w.home.close()
	defer w.Close()
	for more := w.tell(first); more; {
		p := w.present()
		switch {
		case p == nil:
			return
		case p.events == nil:
			more = w.pause(pollTime) && w.resettle()
		default:
			more = w.listen(p)
		}
	}
}

// listen waits for the next news of a place. It returns false at the end.
func (w *watcher) listen(p *place) bool {
	news, err := p.events.receive()
	if err != nil {
		// Closed by Close, or a socket that will not recover: the state of
		// the interface is still known from where it is.
		return w.pause(settleStep) && w.resettle()
	}
	if news.overrun {
		return w.resettle()
	}
	for _, message := range news.messages {
		if !w.hear(p, news.from, message) {
			return false
		}
		if w.present() != p {
			break // moved: the rest is about where it was
		}
	}
	return true
}

// hear takes one message of the namespace from. It returns false at the end.
func (w *watcher) hear(p *place, from int, message syscall.NetlinkMessage) bool {
	if message.Header.Type == unix.RTM_DELNSID && deletedID(message.Data) == p.id {
		return w.resettle() // the namespace is being deleted, and the interface with it
	}
	if from != p.id || len(message.Data) < unix.SizeofIfInfomsg || message.Data[0] != unix.AF_UNSPEC {
		return true // elsewhere, or a bridge's view of the interface, say
	}
	if message.Header.Type != unix.RTM_NEWLINK && message.Header.Type != unix.RTM_DELLINK {
		return true
	}
	index, state, err := stateOf(&message.Header, message.Data)
	switch {
	case err != nil || index != p.index:
		return true
	case message.Header.Type == unix.RTM_DELLINK:
		return w.resettle()
	}
	return w.tell(state)
}

// deletedID is the number that a namespace had; atHome where there is none.
func deletedID(message []byte) int {
	head := nl.NewRtGenMsg().Len()
	if len(message) < head {
		return atHome
	}
	attrs, _ := nl.ParseRouteAttr(message[head:])
	for _, a := range attrs {
		if a.Attr.Type == unix.NETNSA_NSID && len(a.Value) >= 4 {
			return number(a.Value)
		}
	}
	return atHome
}

// resettle finds the interface again after it left, or after events were
// lost, and tells its state: it moved (A55), or it is gone (A62).
func (w *watcher) resettle() bool {
	for waited := time.Duration(0); waited < settleTime; waited += settleStep {
		state, err := w.arm()
		switch {
		case err == nil:
			return w.tell(state)
		case errors.Is(err, errGone):
			return w.tell(State{Gone: true})
		}
		if !w.pause(settleStep) {
			return false
		}
	}
	return w.tell(State{Gone: true})
}

func (w *watcher) pause(d time.Duration) bool {
	select {
	case <-w.done:
		return false
	case <-time.After(d):
		return true
	}
}

// arm listens where the interface is now and then reads its state: what changes
// after the reading is heard.
func (w *watcher) arm() (State, error) {
	p, state, err := w.find()
	if w.any && errors.Is(err, os.ErrPermission) {
		// Somebody with more rights took it to where we may not look, and
		// wants it to work there. While it is down the kernel sends nothing.
		p, state, err = &place{}, State{Up: true, MTU: w.last.MTU}, nil
	}
	if err != nil {
		return State{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		p.close()
		return State{}, os.ErrClosed
	}
	if w.place != nil {
		w.place.close()
	}
	w.place = p
	return state, nil
}

// find sees where the interface is and in which state. The file of the
// namespace is open only that long.
func (w *watcher) find() (p *place, state State, err error) {
	name := w.device.Name()
	if name == "" {
		return nil, State{}, errGone
	}
	ns, guessed, err := w.where()
	if err != nil {
		return nil, State{}, err
	}
	defer ns.Close()
	p = &place{}
	if p.ns, err = ns.Stat(); err != nil {
		return nil, State{}, err
	}
	if p.id, err = w.home.number(ns); err != nil {
		return nil, State{}, err
	}
	p.events, p.index, state, err = w.home.look(p.id, name)
	switch {
	case guessed && errors.Is(err, ErrNotFound):
		return nil, State{}, errOutOfSight
	case err != nil:
		return nil, State{}, err
	}
	if err := w.stillAt(p, name); err != nil {
		p.close()
		return nil, State{}, err
	}
	if before := w.present(); before != nil && !os.SameFile(before.ns, p.ns) {
		noAutomaticAddresses(ns, name)
	}
	return p, state, nil
}

// where is the namespace of the interface. Who has no CAP_NET_ADMIN there may not
// ask, and may have the interface all the same if it belongs to him: then it is
// at home or out of sight.
func (w *watcher) where() (ns *os.File, guessed bool, err error) {
	ns, err = w.device.NetNS()
	if errors.Is(err, os.ErrPermission) {
		ns, err = w.home.again()
		return ns, true, err
	}
	return ns, false, err
}

// errOutOfSight is what it means that a guess was wrong.
var errOutOfSight = fmt.Errorf("the interface is in another network namespace: %w", os.ErrPermission)

// stillAt reports an error if the interface moved on while it was looked at.
func (w *watcher) stillAt(p *place, name string) error {
	ns, _, err := w.where()
	if err != nil {
		return err
	}
	defer ns.Close()
	now, err := ns.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(now, p.ns) || w.device.Name() != name {
		return errors.New("the interface is moving")
	}
	return nil
}

// noAutomaticAddresses is for an interface on which IPv6 has begun anew: then the
// kernel makes up a link-local address when it goes up, as on every other one.
// Where it cannot be helped the tunnel works all the same.
func noAutomaticAddresses(ns *os.File, name string) {
	_ = netns.Do(ns, func() error {
		links, err := Open()
		if err != nil {
			return err
		}
		defer links.Close()
		return links.forgetAutomaticAddresses(name)
	})
}

// beginIPv6 is for an MTU that rose to IPv6's least on an interface that is up.
// The kernel has made up an address already, and asked for routers once; with
// the address it forgets to ask again. (Links.SetMTU does it without.)
func (w *watcher) beginIPv6() {
	ns, err := w.device.NetNS()
	if err != nil {
		return
	}
	defer ns.Close()
	noAutomaticAddresses(ns, w.device.Name())
}

func (w *watcher) present() *place {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.place
}

// tell sends a state that differs from the last. It returns false at the end.
func (w *watcher) tell(state State) bool {
	if w.any && state == w.last {
		return true
	}
	if w.any && w.last.MTU < LeastMTUOfIPv6 && state.MTU >= LeastMTUOfIPv6 && !state.Gone {
		w.beginIPv6()
	}
	select {
	case <-w.done:
		return false
	case w.states <- state:
		w.last, w.any = state, true
		return !state.Gone
	}
}

func (p *place) close() {
	if p.events != nil {
		p.events.close()
	}
}
