package serve

import (
	"encoding/hex"
	"math/bits"
	"time"

	"wgd/conf"
	"wgd/key"
)

// A refusalReason says why a want was refused.
type refusalReason string

// The reasons.
const (
	notInStore    refusalReason = "not-in-store"
	revoked       refusalReason = "revoked"
	notUsable     refusalReason = "cannot-be-used"
	storeFails    refusalReason = "store-fails"
	notSeenThere  refusalReason = "not-seen-there"
	tooSoon       refusalReason = "called-just-now"
	tooMany       refusalReason = "too-many-calls"
	byHand        refusalReason = "configured-by-hand"
	daemonRefuses refusalReason = "daemon-refuses"
	busy          refusalReason = "too-many-look-ups"
)

// reasons are all of them.
var reasons = []refusalReason{notInStore, revoked, notUsable, storeFails, notSeenThere, tooSoon, tooMany, byHand, daemonRefuses, busy}

// figures are what is counted about an interface.
type figures struct {
	wants                         map[conf.WantKind]uint64
	refused                       map[refusalReason]uint64
	missed, lent, removed, called uint64
	answered                      times // from the want until the daemon has the peer
}

func newFigures() figures {
	return figures{wants: map[conf.WantKind]uint64{}, refused: map[refusalReason]uint64{}}
}

// times counts durations by size: bucket n has those under 2^n microseconds that no smaller
// one has.
type times struct {
	buckets [timeBuckets]uint64
	sum     time.Duration
}

// timeBuckets is enough for a minute.
const timeBuckets = 27

func (t *times) add(d time.Duration) {
	t.buckets[min(bits.Len64(uint64(max(d, 0)/time.Microsecond)), timeBuckets-1)]++
	t.sum += d
}

func (t *times) count() (n uint64) {
	for _, b := range t.buckets {
		n += b
	}
	return n
}

// under returns a duration that a share of all durations did not reach. It is at most twice
// as long as the longest of these.
func (t *times) under(share float64) time.Duration {
	rest := uint64(float64(t.count()) * share)
	for i, b := range t.buckets {
		if b > 0 && b >= rest {
			return bound(i)
		}
		rest -= min(rest, b)
	}
	return 0
}

// bound returns what the durations of a bucket do not reach.
func bound(bucket int) time.Duration { return time.Microsecond << bucket }

// A refusal is one that is shown.
type refusal struct {
	at     time.Time
	about  subject
	peer   string // of the store; "" if there is none
	reason refusalReason
}

const (
	shownRefusals = 20
	// refusalAge is how long the daemon may remember a refusal.
	refusalAge = conf.MaxRefusal
)

// recentRefusals are the latest refusals, and the keys that a daemon may still refuse.
type recentRefusals struct {
	shown       []refusal // the last ones, oldest first
	keys, older map[key.Public]struct{}
	turned      time.Time // when keys became older
}

func (r *recentRefusals) add(f refusal) {
	if len(r.shown) == shownRefusals {
		r.shown = append(r.shown[:0], r.shown[1:]...)
	}
	r.shown = append(r.shown, f)
	if f.about.key.IsZero() {
		return
	}
	r.age(f.at)
	r.keys[f.about.key] = struct{}{}
}

// age forgets keys that no daemon refuses any more.
func (r *recentRefusals) age(now time.Time) {
	age := now.Sub(r.turned)
	if r.keys != nil && age <= refusalAge {
		return
	}
	if r.older = r.keys; age > 2*refusalAge {
		r.older = nil
	}
	r.keys, r.turned = map[key.Public]struct{}{}, now
}

// has reports whether a key was refused within the last minute, or a little longer ago.
func (r *recentRefusals) has(k key.Public) bool {
	r.age(time.Now())
	_, now := r.keys[k]
	_, before := r.older[k]
	return now || before
}

// text returns what a subject is, for a person.
func (a subject) text() string {
	switch {
	case a.endpoint.IsValid():
		return a.endpoint.String()
	case a.address.IsValid():
		return a.address.String()
	}
	return hex.EncodeToString(a.key[:4])
}

// label returns how a person knows the peer of an answer.
func (a answer) label() string {
	if a.peer != nil {
		return a.peer.Label()
	}
	return a.subject.text()
}
