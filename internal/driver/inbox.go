package driver

import (
	"wgd/internal/core"
	"wgd/internal/packet"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// Inbox holds what waits for the machine. It is bounded: the two queues have
// capacities, there are no more finished jobs than the machine has started, and
// there are a few notes for each peer. It is not safe for concurrent use.
type Inbox struct {
	capacity   int
	handshakes queue
	cookies    queue
	finished   []*core.Job
	wants      notes[*peer.Peer]
	wakes      notes[*peer.Peer]
	confirms   notes[confirmation]
	wishes     notes[probeWish]
	answers    notes[probeAnswer]
}

const (
	// Capacity is how many initiations and responses wait for the machine of a
	// real interface; from an eighth of it on the interface is under load (A28).
	// When many peers are sent cookie replies at once, their messages arrive in
	// waves, one at each retransmission. A message for which there is no space in
	// one wave waits for the next, while the cores are idle. On the other hand, a
	// message that has waited for RekeyTimeout is answered too late, and a slow core
	// takes 1 ms for each.
	Capacity = 4096

	// cookieCapacity is how many cookie replies wait. They have a queue of their
	// own because nothing about them was checked yet: they must not be able to fill
	// the other queue. It is short because they are cheap to process.
	cookieCapacity = 64
)

// handshake is a message of type 1 to 3.
type handshake struct {
	from wire.Endpoint
	msg  [wire.InitiationSize]byte // the longest
	size uint8
}

type probeWish struct {
	peer *peer.Peer
	wish peer.ProbeWish
}

type probeAnswer struct {
	peer   *peer.Peer
	answer packet.EchoAnswer
}

type confirmation struct {
	peer    *peer.Peer
	keypair *session.Keypair
}

// NewInbox returns an empty inbox in which up to capacity initiations and
// responses may wait.
func NewInbox(capacity int) *Inbox { return &Inbox{capacity: capacity} }

// Waiting returns the number of initiations and responses that were not taken yet.
func (in *Inbox) Waiting() int { return in.handshakes.len() }

// WaitingCookies returns the number of cookie replies that were not taken yet.
func (in *Inbox) WaitingCookies() int { return in.cookies.len() }

// Put copies a message into the queue that its Admission decided on. It returns
// false if that is full; the caller then counts a DropQueueFull.
func (in *Inbox) Put(a Action, from wire.Endpoint, msg []byte) bool {
	switch a {
	case PutHandshake:
		return in.handshakes.put(in.capacity, from, msg)
	case PutCookie:
		return in.cookies.put(cookieCapacity, from, msg)
	}
	return false
}

// PutFinished takes a job that was run.
func (in *Inbox) PutFinished(j *core.Job) { in.finished = append(in.finished, j) }

// Want takes the note that a new session for p is wanted. Like Wake and Confirm
// it is a note of the data plane (dataplane.Notes), which under bulk traffic may
// come with every batch: one that waits already is not taken again, and false is
// reported.
func (in *Inbox) Want(p *peer.Peer) bool { return in.wants.add(p) }

// Wake takes the note that p must be looked at earlier than planned.
func (in *Inbox) Wake(p *peer.Peer) bool { return in.wakes.add(p) }

// Confirm takes the note that p has used its next session k.
func (in *Inbox) Confirm(p *peer.Peer, k *session.Keypair) bool {
	return in.confirms.add(confirmation{p, k})
}

// Probe takes the note that the MTU of the path to p matters.
func (in *Inbox) Probe(p *peer.Peer, wish peer.ProbeWish) bool {
	return in.wishes.add(probeWish{p, wish})
}

// ProbeAnswered takes the note that p has answered a probe. There are no more of them than
// there were probes, unless the peer repeats its answers.
func (in *Inbox) ProbeAnswered(p *peer.Peer, a packet.EchoAnswer) bool {
	return in.answers.add(probeAnswer{p, a})
}

// Take moves what waits into d, in place of what d held before. Of the
// handshake messages it takes at most room, so that the others are still
// counted as waiting.
func (in *Inbox) Take(d *Delivery, room int) {
	d.handshakes = in.handshakes.take(d.handshakes[:0], room)
	d.cookies = in.cookies.take(d.cookies[:0], cookieCapacity)

	d.finished = reusable(d.finished)
	d.wants.clear()
	d.wakes.clear()
	d.confirms.clear()
	d.wishes.clear()
	d.answers.clear()
	d.finished, in.finished = in.finished, d.finished
	d.wants, in.wants = in.wants, d.wants
	d.wakes, in.wakes = in.wakes, d.wakes
	d.confirms, in.confirms = in.confirms, d.confirms
	d.wishes, in.wishes = in.wishes, d.wishes
	d.answers, in.answers = in.answers, d.answers
}

// queue is first in, first out. What was taken stands before head.
type queue struct {
	list []handshake
	head int
}

func (q *queue) len() int { return len(q.list) - q.head }

func (q *queue) put(capacity int, from wire.Endpoint, msg []byte) bool {
	if q.len() >= capacity || len(msg) > wire.InitiationSize {
		return false
	}
	if q.head > 0 && len(q.list) == cap(q.list) {
		q.list = q.list[:copy(q.list, q.list[q.head:])]
		q.head = 0
	}
	q.list = append(q.list, handshake{from: from, size: uint8(len(msg))})
	copy(q.list[len(q.list)-1].msg[:], msg)
	return true
}

// take appends the first of the queue to dst, at most limit of them.
func (q *queue) take(dst []handshake, limit int) []handshake {
	n := min(max(limit, 0), q.len())
	dst = append(dst, q.list[q.head:q.head+n]...)
	if q.head += n; q.head == len(q.list) {
		if cap(q.list) > maxKept {
			q.list = nil
		}
		q.list, q.head = q.list[:0], 0
	}
	return dst
}

// notes holds each note once, in the order of arrival.
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
	if len(n.in) > maxKept {
		n.in = nil // clearing a map takes as long as it was once large
	} else {
		clear(n.in)
	}
	n.list = reusable(n.list)
}

// maxKept is the longest list whose memory is kept for the next one.
const maxKept = 1024

// reusable empties s, so that it keeps nothing alive.
func reusable[T any](s []T) []T {
	if cap(s) > maxKept {
		return nil
	}
	clear(s)
	return s[:0]
}
