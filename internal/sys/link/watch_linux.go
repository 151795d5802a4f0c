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

// watcher reads the events of the namespace where the interface is. The
// goroutine run owns everything but the fields under the lock.
type watcher struct {
	device Device
	states chan State
	done   chan struct{}
	last   State
	any    bool // last was sent

	mu     sync.Mutex
	closed bool
	place  *place
}

// place is the interface in one namespace.
type place struct {
	ns     *os.File
	index  int
	events *subscription
	links  *Links
}

// Watch follows the interface until it is deleted or the Watcher is closed.
func Watch(device Device) (Watcher, error) {
	w := &watcher{device: device, states: make(chan State, 16), done: make(chan struct{})}
	first, err := w.arm()
	if err != nil {
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
	defer w.Close()
	if !w.tell(first) {
		return
	}
	for {
		p := w.present()
		if p == nil {
			return
		}
		messages, overrun, err := p.events.receive()
		if err != nil {
			// Closed by Close, or a socket that will not recover: the state of
			// the interface is still known from where it is.
			overrun = true
			if w.present() == nil || !w.pause() {
				return
			}
		}
		if overrun && !w.resettle() {
			return
		}
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

// hear takes one message of the namespace. It returns false at the end.
func (w *watcher) hear(p *place, message syscall.NetlinkMessage) bool {
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

// arm subscribes where the interface is now and then reads its state: what
// changes after the reading is heard.
func (w *watcher) arm() (State, error) {
	p, err := w.find()
	if err != nil {
		return State{}, err
	}
	info, err := p.links.byIndex(p.index)
	if err == nil {
		err = w.settledAt(p)
	}
	if err != nil {
		p.close()
		return State{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		p.close()
		return State{}, os.ErrClosed
	}
	if w.place != nil {
		if !sameNamespace(w.place.ns, p.ns) {
			p.forgetHabits()
		}
		w.place.close()
	}
	w.place = p
	return State{Up: info.Up, MTU: info.MTU}, nil
}

// find goes to where the interface is.
func (w *watcher) find() (*place, error) {
	ns, err := w.device.NetNS()
	if err != nil {
		return nil, err
	}
	p := &place{ns: ns}
	if p.index, err = w.device.Index(); err != nil {
		p.close()
		return nil, err
	}
	err = inNamespace(ns, func() (err error) {
		if p.events, err = subscribe(unix.RTNLGRP_LINK); err != nil {
			return err
		}
		p.links, err = Open()
		return err
	})
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// settledAt reports an error if the interface moved on while it was looked at.
func (w *watcher) settledAt(p *place) error {
	now, err := w.device.NetNS()
	if err != nil {
		return err
	}
	defer now.Close()
	index, err := w.device.Index()
	if err != nil {
		return err
	}
	if !sameNamespace(now, p.ns) || index != p.index {
		return errors.New("the interface is moving")
	}
	return nil
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
func (p *place) forgetHabits() {
	if link, err := p.links.handle.LinkByIndex(p.index); err == nil {
		_ = p.links.noAutomaticAddress(link)
	}
}

func (p *place) close() {
	p.ns.Close()
	if p.events != nil {
		p.events.close()
	}
	if p.links != nil {
		p.links.Close()
	}
}
