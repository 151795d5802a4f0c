package driver

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
)

const (
	// maxDeferred is the maximum number of waiting messages of a class. A slow core needs
	// 20 µs for each, so the last one waits for a third of a second.
	maxDeferred = 16384

	// maxDeferral is the maximum time that a message may wait. Its sender initiates again after
	// RekeyTimeout, and has no use for a cookie reply to the previous initiation.
	maxDeferral = 3 * time.Second
)

// A class is a kind of message that has its own queue in a Deferred.
type class uint8

const (
	answers  class = iota // responses to our initiations
	withMAC2              // from senders that claim to have a cookie
	withoutMAC2

	classes
)

// Deferred holds messages that have passed mac1 and wait for the rest of their checks.
//
// Sending a cookie reply takes five times as long as receiving a message, and a sender
// that knows the public key can provoke cookie replies at any rate. A reader that sent
// them at once would fall behind, and data would wait in the socket's receive buffer, or
// be lost. So a reader defers these checks until there is nothing to read, except for a
// few with each batch. A message for which there is no room is dropped before its mac1
// is checked (A44, B49).
//
// Take serves the classes in turn, so a flood of one class does not delay another:
// senders with a cookie do not wait behind senders without one, or the reverse (B26,
// B27), and a response to our initiation waits behind neither.
//
// It is not safe for concurrent use. The zero value is empty.
type Deferred struct {
	queues [classes]ring
	next   class // the class that Take tries next
	count  int   // in all queues
}

// DeferredMessage is a message that waits in a Deferred.
type DeferredMessage struct {
	handshake
	at clock.Time // when Put was called
}

// From returns the endpoint that sent the message.
func (m *DeferredMessage) From() wire.Endpoint { return m.handshake.from }

// Bytes returns the message. It is valid as long as m is.
func (m *DeferredMessage) Bytes() []byte { return m.msg[:m.size] }

// HasRoom reports whether there is room for a message whose Decision is Defer.
func (q *Deferred) HasRoom(d Decision) bool { return q.queues[d.class].count < maxDeferred }

// Put copies a message into its queue, which must have room.
func (q *Deferred) Put(now clock.Time, d Decision, from wire.Endpoint, msg []byte) {
	m := q.queues[d.class].put()
	m.from, m.at, m.size = from, now, uint8(copy(m.msg[:], msg))
	q.count++
}

// Waiting returns the number of messages in all queues.
func (q *Deferred) Waiting() int { return q.count }

// Take removes and returns the next message, which is valid until the next Put, or nil
// if there is none. It drops messages that have waited too long, and returns their number.
func (q *Deferred) Take(now clock.Time) (m *DeferredMessage, expired int) {
	for q.count > 0 {
		queue := &q.queues[q.next]
		q.next = (q.next + 1) % classes
		if queue.count == 0 {
			continue
		}
		q.count--
		if m = queue.take(); now.Sub(m.at) < maxDeferral {
			return m, expired
		}
		expired++
	}
	return nil, expired
}

// minRing is the minimum length of a ring that is not empty.
const minRing = 16

// ring is a first-in, first-out queue.
type ring struct {
	list  []DeferredMessage
	first int
	count int
}

// put appends a message and returns it for the caller to fill in.
func (r *ring) put() *DeferredMessage {
	if r.count == len(r.list) {
		list := make([]DeferredMessage, max(minRing, 2*len(r.list)))
		n := copy(list, r.list[r.first:])
		copy(list[n:], r.list[:r.first])
		r.list, r.first = list, 0
	}
	r.count++
	return &r.list[(r.first+r.count-1)%len(r.list)]
}

// take removes and returns the first message. The ring must not be empty.
func (r *ring) take() *DeferredMessage {
	m := &r.list[r.first]
	r.first = (r.first + 1) % len(r.list)
	if r.count--; r.count == 0 && len(r.list) > maxKept {
		*r = ring{} // the flood is over
	}
	return m
}
