package clock

import "time"

// Bucket is a token bucket: it bounds how often something happens. It keeps the
// time at which it would be full again, so the zero Bucket is full. It is not
// safe for concurrent use.
type Bucket struct{ full Time }

// Take takes a token, if there is one at now. The bucket holds burst tokens, and
// gets one each interval; both must be the same in every call.
func (b *Bucket) Take(now Time, burst int, interval time.Duration) bool {
	full := max(b.full, now).Add(interval)
	if full.Sub(now) > time.Duration(burst)*interval {
		return false
	}
	b.full = full
	return true
}
