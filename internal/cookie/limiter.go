package cookie

import (
	"encoding/binary"
	"net/netip"
	"time"

	"wgd/internal/clock"
)

// The rate of handshakes from one source network, as a token bucket whose
// tokens are units of time (A29).
const (
	perHandshake = time.Second / 20
	burst        = 5 * perHandshake
	idleAfter    = time.Second // longer than a bucket takes to fill
	maxSources   = 65_536
)

// Limiter limits each source network to 20 handshakes a second, in bursts of at
// most 5 (A29). The zero Limiter is ready to use. It is not safe for concurrent
// use.
//
// Every call removes up to two idle sources and adds at most one, so no call has
// to remove many.
type Limiter struct {
	at    map[source]int32
	slots []slot

	oldest, newest int32 // ends of the list of sources in order of last use
	free           int32 // head of the list of empty slots, by newer
}

// A source is an IPv4 address, or an IPv6 network of 64 bits: a host that has
// one of its addresses usually has all of them.
type source struct {
	bits uint64
	six  bool
}

type slot struct {
	from         source
	last         clock.Time // of use
	tokens       time.Duration
	older, newer int32
}

const nowhere int32 = -1

// Allow reports whether addr may make a handshake at now. If there are already
// maxSources sources, a new one may not.
func (l *Limiter) Allow(now clock.Time, addr netip.Addr) bool {
	l.Expire(now)
	if l.at == nil {
		*l = Limiter{at: make(map[source]int32), oldest: nowhere, newest: nowhere, free: nowhere}
	}
	from := sourceOf(addr)
	i, known := l.at[from]
	if !known {
		if len(l.at) >= maxSources {
			return false
		}
		i = l.take()
		l.slots[i] = slot{from: from, tokens: burst}
		l.at[from] = i
	} else {
		l.unlink(i)
		s := &l.slots[i]
		s.tokens = min(burst, s.tokens+max(0, now.Sub(s.last)))
	}
	l.link(i)
	s := &l.slots[i]
	s.last = now
	if s.tokens < perHandshake {
		return false
	}
	s.tokens -= perHandshake
	return true
}

// Expire removes up to two sources that are idle at now. If all are idle, it
// removes all of them and their memory.
func (l *Limiter) Expire(now clock.Time) {
	if len(l.at) == 0 {
		return
	}
	if l.idle(now, l.newest) {
		*l = Limiter{}
		return
	}
	for range 2 {
		if i := l.oldest; l.idle(now, i) {
			l.unlink(i)
			delete(l.at, l.slots[i].from)
			l.slots[i].newer, l.free = l.free, i
		}
	}
}

func (l *Limiter) idle(now clock.Time, i int32) bool { return now.Sub(l.slots[i].last) >= idleAfter }

// take returns an empty slot.
func (l *Limiter) take() int32 {
	if i := l.free; i != nowhere {
		l.free = l.slots[i].newer
		return i
	}
	l.slots = append(l.slots, slot{})
	return int32(len(l.slots) - 1)
}

// link makes i the newest source.
func (l *Limiter) link(i int32) {
	l.slots[i].older, l.slots[i].newer = l.newest, nowhere
	if l.newest == nowhere {
		l.oldest = i
	} else {
		l.slots[l.newest].newer = i
	}
	l.newest = i
}

func (l *Limiter) unlink(i int32) {
	older, newer := l.slots[i].older, l.slots[i].newer
	if older == nowhere {
		l.oldest = newer
	} else {
		l.slots[older].newer = newer
	}
	if newer == nowhere {
		l.newest = older
	} else {
		l.slots[newer].older = older
	}
}

func sourceOf(addr netip.Addr) source {
	addr = addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return source{bits: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := addr.As16()
	return source{bits: binary.BigEndian.Uint64(b[:8]), six: true}
}
