package clock

import "time"

// A Bucket is a token bucket, which limits how often something happens. It
// stores the time at which it will be full again, so the zero Bucket is full. It
// is not safe for concurrent use.
type Bucket struct{ full Time }

// Take takes a token and reports whether there was one at now. The bucket holds
// up to burst tokens and gains one per interval; every call must pass the same
// burst and interval.
func (b *Bucket) Take(now Time, burst int, interval time.Duration) bool {
	full := max(b.full, now).Add(interval)
	if full.Sub(now) > time.Duration(burst)*interval {
		return false
	}
	b.full = full
	return true
}

// Ready returns when Take has a token. In the past it means that there is one.
func (b *Bucket) Ready(burst int, interval time.Duration) Time {
	return b.full.Add(interval) - Time(burst)*Time(interval)
}
