package dataplane

import (
	"time"

	"wgd/internal/clock"
	"wgd/internal/session"
)

// rekeyInterval is the minimum time between two requests for a successor of the
// same session. One per batch would be too many, and the request is not urgent.
const rekeyInterval = 100 * time.Millisecond

// A rekeyLimiter limits how often a successor of a session is requested.
type rekeyLimiter struct {
	key *session.Keypair // of the last request
	at  clock.Time
}

// allow reports whether to request a successor of k now. If so, it records the
// request.
func (r *rekeyLimiter) allow(now clock.Time, k *session.Keypair) bool {
	if r.key == k && now.Sub(r.at) < rekeyInterval {
		return false
	}
	r.key, r.at = k, now
	return true
}
