package conf

import (
	"bytes"
	"encoding/hex"

	"wgd/internal/invalid"
	"wgd/internal/quote"
)

// A Stamp is the timestamp of a handshake initiation (TAI64N): 8 bytes of seconds and 4
// of nanoseconds, the most significant byte first. A responder accepts only stamps that are
// greater than all before from the same peer. The zero Stamp means none.
type Stamp [12]byte

// ParseStamp parses 24 hexadecimal digits.
func ParseStamp(s string) (Stamp, error) {
	var stamp Stamp
	if len(s) != 2*len(stamp) {
		return Stamp{}, badStamp(s)
	}
	if _, err := hex.Decode(stamp[:], []byte(s)); err != nil {
		return Stamp{}, badStamp(s)
	}
	return stamp, nil
}

func badStamp(s string) error {
	return invalid.Errorf("%s: a timestamp has %d hexadecimal digits", quote.Text(s), 2*len(Stamp{}))
}

// String returns 24 hexadecimal digits.
func (s Stamp) String() string { return hex.EncodeToString(s[:]) }

// IsZero reports whether s is none.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// Compare returns a negative number if s is before t, and a positive one if s is after t.
func (s Stamp) Compare(t Stamp) int { return bytes.Compare(s[:], t[:]) }
