package dataplane

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/session"
)

// rekeyInterval is how often a new session is asked for as long as the old one
// serves: with every batch would be too often, and nothing is urgent about it.
const rekeyInterval = 100 * time.Millisecond

// reminder remembers for which session a successor was asked for last, and when.
type reminder struct {
	key *session.Keypair
	at  clock.Time
}

// due reports whether to ask for a successor of k now, and takes that as done.
func (r *reminder) due(now clock.Time, k *session.Keypair) bool {
	if r.key == k && now.Sub(r.at) < rekeyInterval {
		return false
	}
	r.key, r.at = k, now
	return true
}
