package state

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"wgd/internal/wire"
	"wgd/key"
)

// The file is a line that names the format, and then records of one length,
// each with a checksum of its own: a damaged one hides no other.
//
//	 0  kind
//	 1  zero
//	 4  stamp, as on the wire; zero in a kindForget
//	16  public key of the peer; zero in a kindCeiling
//	48  CRC-32C of the 48 bytes before, big-endian
//
// A later record about the same thing replaces an earlier one.
const (
	heading    = "wgd stamps v001\n"
	recordSize = 52

	kindCeiling = 1
	kindStamp   = 2 // the greatest accepted from a peer
	kindForget  = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errHeading: nothing in the file can be trusted.
var errHeading = errors.New("it does not begin as one does")

// contents are what a file says.
type contents struct {
	ceiling  wire.TAI64N
	received map[key.Public]wire.TAI64N
}

// damage says how much of a file could not be used.
type damage struct {
	records int // all, good and bad, an incomplete one at the end too
	bad     int // left out
}

// appendRecord appends one; it has no damage yet.
func appendRecord(b []byte, kind byte, public key.Public, stamp wire.TAI64N) []byte {
	start := len(b)
	b = append(b, kind, 0, 0, 0)
	b = append(b, stamp[:]...)
	b = append(b, public[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// set does to the contents what a record says.
func (c *contents) set(public key.Public, stamp wire.TAI64N) {
	if stamp.IsZero() {
		delete(c.received, public)
		return
	}
	if c.received == nil {
		c.received = map[key.Public]wire.TAI64N{}
	}
	c.received[public] = stamp
}

// writeTo writes the contents as a whole file.
func (c *contents) writeTo(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<16)
	b.WriteString(heading)
	var record [recordSize]byte
	b.Write(appendRecord(record[:0], kindCeiling, key.Public{}, c.ceiling))
	for public, stamp := range c.received {
		b.Write(appendRecord(record[:0], kindStamp, public, stamp))
	}
	return b.Flush() // an error stays: Flush reports the first
}

// records is how many of them writeTo writes.
func (c *contents) records() int { return 1 + len(c.received) }

// load reads a whole file. What is damaged is left out, and what is good
// before and behind it is used. The error is errHeading or the reader's; then c
// is what was good before it.
func load(r io.Reader) (c contents, d damage, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var head [len(heading)]byte
	if _, err := io.ReadFull(in, head[:]); err != nil && !short(err) {
		return c, d, err
	} else if string(head[:]) != heading {
		return c, d, errHeading
	}
	highest := wire.TAI64N{}
	for {
		var record [recordSize]byte
		if _, err = io.ReadFull(in, record[:]); err == io.EOF {
			err = nil
			break
		} else if err != nil && !short(err) {
			break
		}
		d.records++
		if err != nil || !c.replay(&record) {
			d.bad++
		}
		if c.ceiling.After(highest) {
			highest = c.ceiling
		}
	}
	if d.bad > 0 || err != nil {
		// What was damaged may have raised the ceiling over the last one that is
		// left. A20 asks for one that is not too low; too high does no harm.
		c.ceiling = highest
	}
	return c, d, err
}

func short(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// replay does what the record says, if it is whole.
func (c *contents) replay(r *[recordSize]byte) bool {
	if binary.BigEndian.Uint32(r[48:]) != crc32.Checksum(r[:48], castagnoli) || r[1]|r[2]|r[3] != 0 {
		return false
	}
	stamp, public := wire.TAI64N(r[4:16]), key.Public(r[16:48])
	switch r[0] {
	case kindCeiling:
		c.ceiling = stamp
	case kindStamp:
		c.set(public, stamp)
	case kindForget:
		c.set(public, wire.TAI64N{})
	default:
		return false
	}
	return true
}
