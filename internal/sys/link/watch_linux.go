package link

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// settleTime is how long an interface may be in no namespace before it
	// counts as deleted: during a move it is nowhere for a moment.
	settleTime = 2 * time.Second
	settleStep = 5 * time.Millisecond
)

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
	place  place
}

// place is the interface in one namespace. Nothing of it is open: a file or a
// socket of a namespace would keep it alive after it was deleted, and the
// interface in it (B52).
type place struct {
	ns    os.FileInfo
	id    int // of the namespace, at home
	index int
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
	w.home.close()
}

// run tells the states until the end.
func (w *watcher) run(first State) {
	defer close(w.states)
	defer w.Close()
	if !w.tell(first) {
		return
	}
	for {
		messages, overrun, err := w.home.events.receive()
		if err != nil {
			// Closed by Close, or a socket that will not recover: the state of
			// the interface is still known from where it is.
			overrun = true
			if !w.pause() {
				return
			}
		}
		if overrun && !w.resettle() {
			return
		}
		p := w.present()
		for _, message := range messages {
			if !w.hear(p, message) {
				return
			}
			if w.present() != p {
				break // moved: the rest is about where it was
			}
		}
	}
}

// hear takes one message, of any namespace. It returns false at the end.
func (w *watcher) hear(p place, message syscall.NetlinkMessage) bool {
	if message.Header.Type == unix.RTM_DELNSID && p.id != atHome {
		return w.resettle() // a namespace was deleted: that of the interface?
	}
	if w.home.events.origin != p.id {
		return true
	}
	if len(message.Data) < unix.SizeofIfInfomsg || message.Data[0] != unix.AF_UNSPEC {
		return true // a bridge's view of the interface, say
	}
	header := unix.NlMsghdr(message.Header)
	l, err := netlink.LinkDeserialize(&header, message.Data)
	if err != nil || l.Attrs().Index != p.index {
		return true
	}
	switch message.Header.Type {
	case unix.RTM_NEWLINK:
		return w.tell(State{Up: l.Attrs().Flags&net.FlagUp != 0, MTU: l.Attrs().MTU})
	case unix.RTM_DELLINK:
		return w.resettle()
	}
	return true
}

// resettle finds the interface again after it left, or after events were
// lost, and tells its state: it moved (A55), or it is gone (A62).
func (w *watcher) resettle() bool {
	for waited := time.Duration(0); waited < settleTime; waited += settleStep {
		state, err := w.arm()
		switch {
		case err == nil:
			return w.tell(state)
		case errors.Is(err, unix.EBADFD), errors.Is(err, os.ErrClosed):
			// The driver itself says that no interface belongs to the file.
			w.tell(State{Gone: true})
			return false
		}
		if !w.pause() {
			return false
		}
	}
	w.tell(State{Gone: true})
	return false
}

func (w *watcher) pause() bool {
	select {
	case <-w.done:
		return false
	case <-time.After(settleStep):
		return true
	}
}

// arm goes to where the interface is now and reads its state; events from there
// are heard from before the reading.
func (w *watcher) arm() (State, error) {
	ns, err := w.device.NetNS()
	if err != nil {
		return State{}, err
	}
	defer ns.Close()
	p, err := w.find(ns)
	if err != nil {
		return State{}, err
	}
	before := w.present()
	moved := before.ns != nil && !os.SameFile(before.ns, p.ns)
	state, err := look(ns, p.index, moved)
	if err == nil {
		err = w.settledAt(p)
	}
	if err != nil {
		return State{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return State{}, os.ErrClosed
	}
	w.place = p
	return state, nil
}

// find says where the interface is, in the namespace ns.
func (w *watcher) find(ns *os.File) (p place, err error) {
	if p.ns, err = ns.Stat(); err != nil {
		return p, err
	}
	if p.index, err = w.device.Index(); err != nil {
		return p, err
	}
	p.id, err = w.home.number(ns, p.ns)
	return p, err
}

// look reads the state of an interface in another namespace.
func look(ns *os.File, index int, moved bool) (state State, err error) {
	err = inNamespace(ns, func() error {
		links, err := Open()
		if err != nil {
			return err
		}
		defer links.Close()
		info, err := links.byIndex(index)
		if err != nil {
			return err
		}
		state = State{Up: info.Up, MTU: info.MTU}
		if moved {
			forgetHabits(links, index)
		}
		return nil
	})
	return state, err
}

// settledAt reports an error if the interface moved on while it was looked at.
func (w *watcher) settledAt(p place) error {
	ns, err := w.device.NetNS()
	if err != nil {
		return err
	}
	defer ns.Close()
	now, err := w.find(ns)
	if err != nil {
		return err
	}
	if !os.SameFile(now.ns, p.ns) || now.index != p.index {
		return errors.New("the interface is moving")
	}
	return nil
}

func (w *watcher) present() place {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.place
}

// tell sends a state that differs from the last. It returns false at the end.
func (w *watcher) tell(state State) bool {
	if w.any && state == w.last {
		return true
	}
	select {
	case <-w.done:
		return false
	case w.states <- state:
		w.last, w.any = state, true
		return !state.Gone
	}
}

// forgetHabits takes from an interface that moved what the new namespace does
// with every interface: IPv6 begins there anew, with a link-local address made
// up when it goes up. Where it cannot be helped the tunnel works all the same.
func forgetHabits(links *Links, index int) {
	if link, err := links.handle.LinkByIndex(index); err == nil {
		_ = links.noAutomaticAddress(link)
	}
}
