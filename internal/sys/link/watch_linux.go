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
	// settleTime is how long an interface may be in no namespace before it counts as
	// deleted: while it is moved, it is in none for a moment.
	settleTime = 2 * time.Second
	settleStep = 5 * time.Millisecond

	// pollTime is how often the state is read where events cannot be received.
	pollTime = 500 * time.Millisecond
)

// errGone says that no interface belongs to the driver's file any more.
var errGone = errors.New("the interface was deleted")

// watcher follows an interface from its home namespace. The fields that mu does not
// guard belong to the goroutine that executes run.
type watcher struct {
	device Device
	home   *home
	states chan State
	done   chan struct{}
	last   State
	sent   bool // last was sent

	mu       sync.Mutex // guards what follows
	closed   bool
	location *location // nil when closed
}

// location is where the interface is. It has no open file of the namespace: that would
// keep the namespace, and the interface in it, alive after it was deleted (B52).
type location struct {
	ns     os.FileInfo // nil if the namespace is out of sight
	id     int         // of the namespace, in the home namespace
	index  int
	events *subscription // nil if the state must be polled
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
	if w.location != nil {
		w.location.close()
		w.location = nil
	}
}

// run sends the states until the end.
func (w *watcher) run(first State) {
	defer close(w.states)
	defer w.home.close()
	defer w.Close()
	for more := w.send(first); more; {
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

// listen waits for the next events at a location. It returns false at the end.
func (w *watcher) listen(p *location) bool {
	news, err := p.events.receive()
	if err != nil {
		// The subscription was closed by Close, or does not work any more. Then the
		// state can still be read.
		return w.pause(settleStep) && w.resettle()
	}
	if news.overrun {
		return w.resettle()
	}
	for _, message := range news.messages {
		if !w.handle(p, news.from, message) {
			return false
		}
		if w.present() != p {
			break // it moved: the other messages are about the old location
		}
	}
	return true
}

// handle handles one message from a namespace. It returns false at the end.
func (w *watcher) handle(p *location, from int, message syscall.NetlinkMessage) bool {
	if message.Header.Type == unix.RTM_DELNSID && deletedID(message.Data) == p.id {
		return w.resettle() // the namespace is being deleted, and the interface with it
	}
	if from != p.id || len(message.Data) < unix.SizeofIfInfomsg || message.Data[0] != unix.AF_UNSPEC {
		return true // about another namespace, or about the interface as a port of a bridge
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
	return w.send(state)
}

// deletedID is the number of a deleted namespace; atHome if the message has none.
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

// resettle finds the interface again after it left its location or events were lost, and
// sends its state: it moved (A55), or it is gone (A62).
func (w *watcher) resettle() bool {
	for waited := time.Duration(0); waited < settleTime; waited += settleStep {
		state, err := w.arm()
		switch {
		case err == nil:
			return w.send(state)
		case errors.Is(err, errGone):
			return w.send(State{Gone: true})
		}
		if !w.pause(settleStep) {
			return false
		}
	}
	return w.send(State{Gone: true})
}

func (w *watcher) pause(d time.Duration) bool {
	select {
	case <-w.done:
		return false
	case <-time.After(d):
		return true
	}
}

// arm subscribes to events where the interface is now, and then reads its state, so no
// later change is missed.
func (w *watcher) arm() (State, error) {
	p, state, err := w.find()
	if w.sent && errors.Is(err, os.ErrPermission) {
		// A user with more rights moved it into a namespace that we may not read, and
		// wants it to work there. While it is down, the kernel sends it no packets.
		p, state, err = &location{}, State{Up: true, MTU: w.last.MTU}, nil
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
	if w.location != nil {
		w.location.close()
	}
	w.location = p
	return state, nil
}

// find finds out where the interface is and its state. It closes the file of the
// namespace before it returns.
func (w *watcher) find() (p *location, state State, err error) {
	name := w.device.Name()
	if name == "" {
		return nil, State{}, errGone
	}
	ns, guessed, err := w.where()
	if err != nil {
		return nil, State{}, err
	}
	defer ns.Close()
	p = &location{}
	if p.ns, err = ns.Stat(); err != nil {
		return nil, State{}, err
	}
	if p.id, err = w.home.number(ns); err != nil {
		return nil, State{}, err
	}
	p.events, p.index, state, err = w.home.subscribe(p.id, name)
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

// where is the namespace of the interface. Without CAP_NET_ADMIN there, the process may
// not ask, though it may own the interface. Then where guesses that it is at home; if
// that is wrong, it is out of sight.
func (w *watcher) where() (ns *os.File, guessed bool, err error) {
	ns, err = w.device.NetNS()
	if errors.Is(err, os.ErrPermission) {
		ns, err = w.home.duplicate()
		return ns, true, err
	}
	return ns, false, err
}

// errOutOfSight says that the guess of where was wrong.
var errOutOfSight = fmt.Errorf("the interface is in another network namespace: %w", os.ErrPermission)

// stillAt returns an error if the interface has moved since it was found.
func (w *watcher) stillAt(p *location, name string) error {
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

// noAutomaticAddresses is called for an interface on which the kernel has initialized
// IPv6 again. Then it would create a link-local address when the interface goes up. If
// that cannot be prevented, the tunnel works all the same.
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

// beginIPv6 is called when the MTU of an interface that is up has become large enough
// for IPv6. By then the kernel has created an address and solicited routers once; when
// the address is removed it stops. (Links.SetMTU prevents both.)
func (w *watcher) beginIPv6() {
	ns, err := w.device.NetNS()
	if err != nil {
		return
	}
	defer ns.Close()
	noAutomaticAddresses(ns, w.device.Name())
}

func (w *watcher) present() *location {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.location
}

// send sends a state if it differs from the last one. It returns false at the end.
func (w *watcher) send(state State) bool {
	if w.sent && state == w.last {
		return true
	}
	if w.sent && w.last.MTU < MinMTUOfIPv6 && state.MTU >= MinMTUOfIPv6 && !state.Gone {
		w.beginIPv6()
	}
	select {
	case <-w.done:
		return false
	case w.states <- state:
		w.last, w.sent = state, true
		return !state.Gone
	}
}

func (p *location) close() {
	if p.events != nil {
		p.events.close()
	}
}
