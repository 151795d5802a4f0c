package engine

import (
	"sync"

	"wgd/internal/core"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

const (
	// queueCapacity is how many initiations and responses wait for the
	// machine; from an eighth of it on the interface is under load (A28). A
	// storm of peers that are asked for cookies comes in waves, one at each
	// retransmission: what has no room in one wave waits for the next, while the
	// cores are idle. What has waited for RekeyTimeout, on the other hand, is
	// answered in vain, and a slow core takes 1 ms for each.
	queueCapacity = 4096

	// cookieCapacity is how many cookie replies wait. They have a queue of
	// their own: they cost nothing to look at, and nobody may fill the other
	// one with them, for nothing about them was checked yet.
	cookieCapacity = 64
)

// inbox is what the goroutines leave for coreLoop. Posting never blocks, and
// what is posted has a bound: the two queues theirs, jobs the number that the
// machine has started, notes a few for each peer.
type inbox struct {
	bell chan struct{} // holds one token while there may be something

	mu         sync.Mutex
	handshakes queue
	cookies    queue
	finished   []*core.Job
	wants      notes[*peer.Peer]
	wakes      notes[*peer.Peer]
	confirms   notes[confirmation]
}

// handshake is a message of type 1 to 3.
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
	cookies    []handshake
	finished   []*core.Job
	wants      notes[*peer.Peer]
	wakes      notes[*peer.Peer]
	confirms   notes[confirmation]
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
	m.finished = reusable(m.finished)
	m.wants.clear()
	m.wakes.clear()
	m.confirms.clear()

	in.mu.Lock()
	defer in.mu.Unlock()
	m.handshakes = in.handshakes.take(m.handshakes[:0], limit)
	m.cookies = in.cookies.take(m.cookies[:0], cookieCapacity)
	m.finished, in.finished = in.finished, m.finished
	m.wants, in.wants = in.wants, m.wants
	m.wakes, in.wakes = in.wakes, m.wakes
	m.confirms, in.confirms = in.confirms, m.confirms
}

// waiting is the number of initiations and responses not yet taken.
func (in *inbox) waiting() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.handshakes.len()
}

// putHandshake is for an initiation or response; false when there is no room.
func (in *inbox) putHandshake(from wire.Endpoint, msg []byte) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.put(&in.handshakes, queueCapacity, from, msg)
}

// putCookie is for a cookie reply.
func (in *inbox) putCookie(from wire.Endpoint, msg []byte) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.put(&in.cookies, cookieCapacity, from, msg)
}

func (in *inbox) put(q *queue, capacity int, from wire.Endpoint, msg []byte) bool {
	if q.len() >= capacity || len(msg) > wire.InitiationSize {
		return false
	}
	q.put(from, msg)
	in.ring()
	return true
}

func (in *inbox) putFinished(j *core.Job) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.finished = append(in.finished, j)
	in.ring()
}

// Want, Confirm and Wake are dataplane.Notes. Under bulk traffic the same note
// may come with every batch: one that waits already is not posted again.

func (in *inbox) Want(p *peer.Peer) { post(in, &in.wants, p) }

func (in *inbox) Wake(p *peer.Peer) { post(in, &in.wakes, p) }

func (in *inbox) Confirm(p *peer.Peer, k *session.Keypair) {
	post(in, &in.confirms, confirmation{p, k})
}

func post[T comparable](in *inbox, list *notes[T], note T) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if list.add(note) {
		in.ring()
	}
}

// queue is first in, first out. What was taken stands before head.
type queue struct {
	list []handshake
	head int
}

func (q *queue) len() int { return len(q.list) - q.head }

func (q *queue) put(from wire.Endpoint, msg []byte) {
	if q.head > 0 && len(q.list) == cap(q.list) {
		q.list = q.list[:copy(q.list, q.list[q.head:])]
		q.head = 0
	}
	q.list = append(q.list, handshake{from: from, size: uint8(len(msg))})
	copy(q.list[len(q.list)-1].msg[:], msg)
}

// take appends the first of the queue to dst, at most limit of them.
func (q *queue) take(dst []handshake, limit int) []handshake {
	n := min(max(limit, 0), q.len())
	dst = append(dst, q.list[q.head:q.head+n]...)
	if q.head += n; q.head == len(q.list) {
		if cap(q.list) > mostKept {
			q.list = nil
		}
		q.list, q.head = q.list[:0], 0
	}
	return dst
}

// notes are different from one another, in the order in which they came.
type notes[T comparable] struct {
	list []T
	in   map[T]struct{}
}

// add reports whether the note was not there yet.
func (n *notes[T]) add(note T) bool {
	if len(n.list) > 0 && n.list[len(n.list)-1] == note {
		return false // the usual case
	}
	if _, there := n.in[note]; there {
		return false
	}
	if n.in == nil {
		n.in = make(map[T]struct{})
	}
	n.in[note] = struct{}{}
	n.list = append(n.list, note)
	return true
}

func (n *notes[T]) clear() {
	if len(n.in) > mostKept {
		n.in = nil // clearing a map takes as long as it was once large
	} else {
		clear(n.in)
	}
	n.list = reusable(n.list)
}

// mostKept is how long a list may be whose memory is kept for the next one.
const mostKept = 1024

// reusable empties s, so that it keeps nothing alive.
func reusable[T any](s []T) []T {
	if cap(s) > mostKept {
		return nil
	}
	clear(s)
	return s[:0]
}
