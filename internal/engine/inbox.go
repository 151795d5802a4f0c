package engine

import (
	"sync"

	"wgd/internal/core"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// queueCapacity is how many handshake messages wait for the machine; from an
// eighth of it on the interface is under load (A28).
const queueCapacity = 1024

// inbox is what the goroutines leave for coreLoop. Posting never blocks.
type inbox struct {
	bell chan struct{} // holds one token while there may be something

	mu         sync.Mutex
	handshakes []handshake // at most queueCapacity
	finished   []*core.Job
	wants      []*peer.Peer
	wakes      []*peer.Peer
	confirms   []confirmation
}

type handshake struct {
	from wire.Endpoint
	msg  [wire.InitiationSize]byte // the longest
	size uint8
}

type confirmation struct {
	peer    *peer.Peer
	keypair *session.Keypair
}

// mail is everything that coreLoop takes at once. Its slices are reused.
type mail struct {
	handshakes []handshake
	finished   []*core.Job
	wants      []*peer.Peer
	wakes      []*peer.Peer
	confirms   []confirmation
}

func newInbox() *inbox { return &inbox{bell: make(chan struct{}, 1)} }

// ring tells coreLoop that there is something to do.
func (in *inbox) ring() {
	select {
	case in.bell <- struct{}{}:
	default:
	}
}

// take moves what waits into m, emptied before; of the handshakes at most
// limit, so that the rest is still counted as waiting.
func (in *inbox) take(m *mail, limit int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := min(max(limit, 0), len(in.handshakes))
	m.handshakes = append(m.handshakes[:0], in.handshakes[:n]...)
	in.handshakes = in.handshakes[:copy(in.handshakes, in.handshakes[n:])]
	m.finished, in.finished = in.finished, empty(m.finished)
	m.wants, in.wants = in.wants, empty(m.wants)
	m.wakes, in.wakes = in.wakes, empty(m.wakes)
	m.confirms, in.confirms = in.confirms, empty(m.confirms)
}

// empty clears s, so that it keeps nothing alive, and returns it for reuse.
func empty[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// waiting is the number of handshake messages not yet taken.
func (in *inbox) waiting() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.handshakes)
}

func (in *inbox) putHandshake(from wire.Endpoint, msg []byte) (ok bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.handshakes) >= queueCapacity || len(msg) > wire.InitiationSize {
		return false
	}
	in.handshakes = append(in.handshakes, handshake{from: from, size: uint8(len(msg))})
	copy(in.handshakes[len(in.handshakes)-1].msg[:], msg)
	in.ring()
	return true
}

func (in *inbox) putFinished(j *core.Job) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.finished = append(in.finished, j)
	in.ring()
}

// Want, Confirm and Wake are dataplane.Notes. A peer posted twice in a row is
// posted once: under bulk traffic the same note comes with every batch.

func (in *inbox) Want(p *peer.Peer) { in.post(&in.wants, p) }

func (in *inbox) Wake(p *peer.Peer) { in.post(&in.wakes, p) }

func (in *inbox) post(list *[]*peer.Peer, p *peer.Peer) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if n := len(*list); n > 0 && (*list)[n-1] == p {
		return
	}
	*list = append(*list, p)
	in.ring()
}

func (in *inbox) Confirm(p *peer.Peer, k *session.Keypair) {
	in.mu.Lock()
	defer in.mu.Unlock()
	c := confirmation{p, k}
	if n := len(in.confirms); n > 0 && in.confirms[n-1] == c {
		return
	}
	in.confirms = append(in.confirms, c)
	in.ring()
}
