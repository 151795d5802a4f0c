package unknown

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"wgd/conf"
	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

const (
	// Each kind of subject has a bucket of this size. The subjects of a minute fit into
	// maxReported, which bounds the memory if some are refused for longer.
	reportBurst    = 4096
	reportInterval = time.Millisecond
	maxReported    = 1 << 16

	// keepTime is how long an initiation is kept. After that time its sender sends
	// another one, and refuses a response to the first.
	keepTime = 5 * time.Second

	// maxInitiations is how many initiations are kept: about 1 MB.
	maxInitiations = 4096
)

// A Table has the unknown subjects of one interface. Its methods are safe for concurrent
// use. A nil Table keeps and reports nothing.
type Table struct {
	// CountDrops is called with the number of packets that have waited in vain; nil: it
	// is not. It must be set before the first of them.
	CountDrops func(packets int)

	on atomic.Bool // there are subscribers

	mu          sync.Mutex
	subscribers map[*Subscriber]struct{}
	ended       bool
	keys        asked[key.Public]
	initiations recent[key.Public, Initiation]
	sessions    asked[netip.AddrPort]
	senders     recent[netip.AddrPort, wire.Endpoint] // of sessions; maxReported at most

	destinations asked[netip.Addr]
	parked       recent[netip.Addr, Destination]
	parkedBytes  int
}

// An Initiation is kept until there is a peer with its key. Nothing but its mac1 was
// checked.
type Initiation struct {
	From    wire.Endpoint
	Message wire.Initiation
}

// New returns a Table without subscribers.
func New() *Table { return &Table{subscribers: make(map[*Subscriber]struct{})} }

// Active reports whether there are subscribers.
func (t *Table) Active() bool { return t != nil && t.on.Load() }

// Key keeps an initiation whose static key is of no peer, and reports whether it did. Of
// one key, the newest is kept: its sender has given up those before.
func (t *Table) Key(now clock.Time, public key.Public, i Initiation) bool {
	if !t.Active() {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.initiations.expire(now, keepTime)
	switch t.keys.ask(now, public) {
	case refused:
		return false
	case limited:
		t.miss()
		return false
	case reported:
		if !t.report(conf.Want{Kind: conf.UnknownPeerKey, Key: public, Endpoint: i.From.Remote}) {
			t.keys.forget(public)
			return false
		}
	}
	t.initiations.put(now, public, i)
	if t.initiations.len() > maxInitiations {
		t.initiations.take(t.initiations.oldest.key)
	}
	return true
}

// TakeKey must be called when there is a peer with the key. It returns the initiation
// that was kept, and whether there is one. If the peer is removed, the key is reported
// again at once.
func (t *Table) TakeKey(now clock.Time, public key.Public) (Initiation, bool) {
	if !t.Active() {
		return Initiation{}, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys.forget(public)
	t.initiations.expire(now, keepTime)
	return t.initiations.take(public)
}

// Refuse remembers that nobody adds the peer, and drops what was kept for it.
func (t *Table) Refuse(now clock.Time, r conf.Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case r.Endpoint.IsValid():
		t.sessions.refuse(now, r.Endpoint, r.For)
		t.senders.take(r.Endpoint)
	case r.Address.IsValid():
		t.destinations.refuse(now, r.Address, r.For)
		t.dropParked(r.Address)
	default:
		t.keys.refuse(now, r.Key, r.For)
		t.initiations.take(r.Key)
	}
}

// Clear drops everything that is kept.
func (t *Table) Clear() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
}

func (t *Table) clear() {
	t.keys = asked[key.Public]{}
	t.initiations = recent[key.Public, Initiation]{}
	t.sessions = asked[netip.AddrPort]{}
	t.senders = recent[netip.AddrPort, wire.Endpoint]{}
	t.destinations = asked[netip.Addr]{}
	for t.parked.oldest != nil {
		t.dropParked(t.parked.oldest.key)
	}
}

// asked has the subjects of a kind that were reported or refused.
type asked[K comparable] struct {
	recent recent[K, refusal]
	bucket clock.Bucket
}

// A refusal ends at a time; 0: the subject was not refused.
type refusal clock.Time

// A verdict says what to do about a subject.
type verdict uint8

const (
	reported verdict = iota + 1 // report it
	waiting                     // it was reported, and nobody has answered yet
	refused                     // somebody has refused it
	limited                     // there are too many
)

func (a *asked[K]) ask(now clock.Time, k K) verdict {
	a.recent.expire(now, conf.MaxRefusal)
	switch r := a.recent.get(k); {
	case r != nil && *r == 0:
		return waiting
	case r != nil && now < clock.Time(*r):
		return refused
	}
	if a.recent.len() >= maxReported || !a.bucket.Take(now, reportBurst, reportInterval) {
		return limited
	}
	a.recent.put(now, k, 0)
	return reported
}

// refuse remembers a refusal of a subject that was reported.
func (a *asked[K]) refuse(now clock.Time, k K, d time.Duration) {
	if a.recent.get(k) != nil {
		a.recent.put(now, k, refusal(now.Add(min(d, conf.MaxRefusal))))
	}
}

func (a *asked[K]) forget(k K) { a.recent.take(k) }
