package unknown

import (
	"time"

	"wgd/internal/clock"
)

// recent keeps values for a time that is the same for all. The zero recent is empty.
type recent[K comparable, V any] struct {
	entries        map[K]*entry[K, V]
	oldest, newest *entry[K, V] // in the order of put
}

type entry[K comparable, V any] struct {
	key          K
	value        V
	at           clock.Time // of put
	older, newer *entry[K, V]
}

func (r *recent[K, V]) len() int { return len(r.entries) }

// get returns the value of k, or nil if there is none.
func (r *recent[K, V]) get(k K) *V {
	if e := r.entries[k]; e != nil {
		return &e.value
	}
	return nil
}

// put sets the value of k, which becomes the newest.
func (r *recent[K, V]) put(now clock.Time, k K, v V) {
	r.take(k)
	if r.entries == nil {
		r.entries = make(map[K]*entry[K, V])
	}
	e := &entry[K, V]{key: k, value: v, at: now, older: r.newest}
	r.entries[k] = e
	if r.newest == nil {
		r.oldest = e
	} else {
		r.newest.newer = e
	}
	r.newest = e
}

// take removes k, and returns its value and whether there was one.
func (r *recent[K, V]) take(k K) (v V, ok bool) {
	e := r.entries[k]
	if e == nil {
		return v, false
	}
	delete(r.entries, k)
	if e.older == nil {
		r.oldest = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		r.newest = e.older
	} else {
		e.newer.older = e.older
	}
	if len(r.entries) == 0 {
		r.entries = nil // a map that was large keeps its memory
	}
	return e.value, true
}

// expire removes what was put life ago or earlier.
func (r *recent[K, V]) expire(now clock.Time, life time.Duration) {
	for r.oldest != nil && now.Sub(r.oldest.at) >= life {
		r.take(r.oldest.key)
	}
}
