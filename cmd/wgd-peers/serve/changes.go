package serve

import (
	"time"

	"wgd/key"
)

const (
	// changesKept is for how long changes are remembered: longer than a look-up and the way of
	// its result can take.
	changesKept = 10 * time.Second
	maxChanges  = 8192
)

// changes are the latest changes of the store. What was looked up by something else than the
// public key is as old as its look-up, and the peer may have changed since.
type changes struct {
	keys, older map[key.Public]time.Time // older are those of the time before turned
	turned      time.Time
	all         time.Time // when every peer may have changed
}

// add remembers changes of some peers, or of all.
func (c *changes) add(keys []key.Public, all bool) {
	now := time.Now()
	if c.keys == nil || now.Sub(c.turned) > changesKept {
		c.older, c.keys, c.turned = c.keys, map[key.Public]time.Time{}, now
	}
	if all || len(c.keys)+len(keys) > maxChanges {
		c.keys, c.older, c.all = map[key.Public]time.Time{}, nil, now
		return
	}
	for _, k := range keys {
		c.keys[k] = now
	}
}

// since reports whether a peer may have changed since a time, which may be long ago.
func (c *changes) since(t time.Time, k key.Public) bool {
	return time.Since(t) > changesKept || !c.all.Before(t) || !c.keys[k].Before(t) || !c.older[k].Before(t)
}
