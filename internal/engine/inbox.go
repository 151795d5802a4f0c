package engine

import (
	"sync"

	"wgd/internal/core"
	"wgd/internal/driver"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// inbox holds what the other goroutines pass to coreLoop. Posting never blocks.
type inbox struct {
	bell chan struct{} // holds one token while the inbox may hold something

	mu sync.Mutex
	in *driver.Inbox
}

func newInbox() *inbox {
	return &inbox{bell: make(chan struct{}, 1), in: driver.NewInbox(driver.Capacity)}
}

// ring wakes coreLoop.
func (in *inbox) ring() {
	select {
	case in.bell <- struct{}{}:
	default:
	}
}

// take moves the contents of the inbox into d, but at most room handshake
// messages.
func (in *inbox) take(d *driver.Delivery, room int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.in.Take(d, room)
}

// waiting returns the number of initiations and responses not yet taken.
func (in *inbox) waiting() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.in.Waiting()
}

// put queues a message of type 1 to 3. It returns false if the queue is full.
func (in *inbox) put(a driver.Action, from wire.Endpoint, msg []byte) bool {
	return in.post(func(in *driver.Inbox) bool { return in.Put(a, from, msg) })
}

func (in *inbox) putFinished(j *core.Job) {
	in.post(func(in *driver.Inbox) bool { in.PutFinished(j); return true })
}

// post rings if put has added something.
func (in *inbox) post(put func(*driver.Inbox) bool) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !put(in.in) {
		return false
	}
	in.ring()
	return true
}

// notes passes the data plane's notes to coreLoop and routes. It is a
// dataplane.Notes.
type notes Engine

func (n *notes) Want(p *peer.Peer) {
	n.inbox.post(func(in *driver.Inbox) bool { return in.Want(p) })
}

func (n *notes) Wake(p *peer.Peer) {
	n.inbox.post(func(in *driver.Inbox) bool { return in.Wake(p) })
}

func (n *notes) Confirm(p *peer.Peer, k *session.Keypair) {
	n.inbox.post(func(in *driver.Inbox) bool { return in.Confirm(p, k) })
}

func (n *notes) Probe(p *peer.Peer, wish peer.ProbeWish) {
	n.inbox.post(func(in *driver.Inbox) bool { return in.Probe(p, wish) })
}

func (n *notes) ProbeAnswered(p *peer.Peer, a packet.EchoAnswer) {
	n.inbox.post(func(in *driver.Inbox) bool { return in.ProbeAnswered(p, a) })
}

func (n *notes) Route(p *peer.Peer) { n.routes.put(p) }
