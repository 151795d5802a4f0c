package dataplane

import (
	"time"

	"wgd/internal/clock"
)

// ICMP errors are for people and path MTU discovery; a flood of packets to
// nowhere must not become a flood of errors (A48).
const (
	errorInterval = 10 * time.Millisecond // one error each, on average
	errorBurst    = 50
)

// bucket is a token bucket of errorBurst tokens. It keeps the time at which it
// would be full again. The zero bucket is full.
type bucket struct{ full clock.Time }

// take takes a token, if there is one at now.
func (b *bucket) take(now clock.Time) bool {
	full := max(b.full, now).Add(errorInterval)
	if full.Sub(now) > errorBurst*errorInterval {
		return false
	}
	b.full = full
	return true
}
