package wire

import (
	"bytes"
	"encoding/binary"
	"time"
)

// TAI64NSize is the length of a stamp.
const TAI64NSize = 12

// TAI64N is the stamp in an initiation (§5.1): big-endian seconds and
// nanoseconds, so that its bytes compare like the times they stand for (A3,
// A18). The zero value means none: every stamp of a clock is after it.
type TAI64N [TAI64NSize]byte

const (
	epoch   = 1<<62 + 10 // the second of TAI64 at which Unix time begins, as deployed
	granule = 1 << 24    // nanoseconds
)

// StampAt is the stamp of a wall time, its nanoseconds rounded down to a
// multiple of 2^24 (about 16.8 ms), so that nobody reads our clock from our
// initiations more finely than that (A17).
func StampAt(t time.Time) TAI64N {
	return stamp(epoch+uint64(t.Unix()), uint32(t.Nanosecond()))
}

// Next is the stamp one granule later: the least that is both after s and
// rounded (A20). The greatest possible one, which no clock reaches, is its own.
func (s TAI64N) Next() TAI64N {
	seconds := binary.BigEndian.Uint64(s[:8])
	// In 64 bits: what a peer or a file gave has any 32 bits here.
	nanoseconds := uint64(binary.BigEndian.Uint32(s[8:])) + granule
	if nanoseconds < uint64(time.Second) {
		return stamp(seconds, uint32(nanoseconds))
	}
	if seconds+1 == 0 {
		return s
	}
	return stamp(seconds+1, 0)
}

// Add is the stamp d, which is not negative, after s, rounded down. It is never
// later than the greatest possible one, nor before s.
func (s TAI64N) Add(d time.Duration) TAI64N {
	seconds := binary.BigEndian.Uint64(s[:8])
	nanoseconds := uint64(binary.BigEndian.Uint32(s[8:])) + uint64(d)
	later := seconds + nanoseconds/uint64(time.Second)
	if later < seconds {
		return s
	}
	if sum := stamp(later, uint32(nanoseconds%uint64(time.Second))); sum.After(s) {
		return sum
	}
	return s
}

// Compare is negative when s is before t, positive when after.
func (s TAI64N) Compare(t TAI64N) int { return bytes.Compare(s[:], t[:]) }

// After is what a responder asks of a stamp: strictly greater, bytewise (A18).
func (s TAI64N) After(t TAI64N) bool { return s.Compare(t) > 0 }

// IsZero reports whether there is no stamp.
func (s TAI64N) IsZero() bool { return s == TAI64N{} }

func stamp(seconds uint64, nanoseconds uint32) (s TAI64N) {
	binary.BigEndian.PutUint64(s[:8], seconds)
	binary.BigEndian.PutUint32(s[8:], nanoseconds&^(granule-1))
	return s
}
