package wire

import (
	"bytes"
	"encoding/binary"
	"time"
)

// TAI64NSize is the length of a stamp in bytes.
const TAI64NSize = 12

// TAI64N is the stamp in an initiation (§5.1): big-endian seconds and
// nanoseconds, so that its bytes compare like the times they represent (A3,
// A18). The zero value means no stamp: the stamp of any clock is after it.
type TAI64N [TAI64NSize]byte

const (
	epoch   = 1<<62 + 10 // the TAI64 second at which Unix time begins, as in other implementations
	granule = 1 << 24    // nanoseconds
)

// StampAt returns the stamp of a wall time, with its nanoseconds rounded down to
// a multiple of 2^24 (about 16.8 ms), so that our initiations reveal our clock
// no more precisely than that (A17).
func StampAt(t time.Time) TAI64N {
	return stamp(epoch+uint64(t.Unix()), uint32(t.Nanosecond()))
}

// Next returns the smallest rounded stamp after s (A20). For the greatest
// possible stamp, which no clock reaches, it returns s.
func (s TAI64N) Next() TAI64N {
	seconds := binary.BigEndian.Uint64(s[:8])
	// 64 bits, because a stamp from a peer or a file may have any 32 bits here.
	nanoseconds := uint64(binary.BigEndian.Uint32(s[8:])) + granule
	if nanoseconds < uint64(time.Second) {
		return stamp(seconds, uint32(nanoseconds))
	}
	if seconds+1 == 0 {
		return s
	}
	return stamp(seconds+1, 0)
}

// Add returns the stamp d after s, rounded down; d must not be negative. It
// returns s where the result would overflow or be before s.
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

// Compare returns a negative number if s is before t, and a positive one if s is
// after t.
func (s TAI64N) Compare(t TAI64N) int { return bytes.Compare(s[:], t[:]) }

// After reports whether s is strictly greater than t, bytewise, as a responder
// requires of a new stamp (A18).
func (s TAI64N) After(t TAI64N) bool { return s.Compare(t) > 0 }

// IsZero reports whether there is no stamp.
func (s TAI64N) IsZero() bool { return s == TAI64N{} }

func stamp(seconds uint64, nanoseconds uint32) (s TAI64N) {
	binary.BigEndian.PutUint64(s[:8], seconds)
	binary.BigEndian.PutUint32(s[8:], nanoseconds&^(granule-1))
	return s
}
