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

// The file is a line that names the format, followed by records of equal length.
// Each has its own checksum, so a damaged record does not affect the others.
//
//	 0  kind
//	 1  zero
//	 4  stamp, encoded as in a message; zero in a kindForget
//	16  public key of the peer; zero in a kindCeiling
//	48  CRC-32C of the 48 bytes before, big-endian
//
// A later record about the ceiling or about a peer replaces an earlier one.
const (
	heading    = "wgd stamps v001\n"
	recordSize = 52

	kindCeiling = 1
	kindStamp   = 2 // greatest stamp accepted from a peer
	kindForget  = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errHeading means that nothing in the file can be trusted.
var errHeading = errors.New("its first line is wrong")

// contents are the values that a file represents.
type contents struct {
	ceiling  wire.TAI64N
	received map[key.Public]wire.TAI64N
}

// damage counts the records of a file and those that could not be used.
type damage struct {
	records int // all, including an incomplete one at the end
	bad     int // ignored
}

// appendRecord appends a record to b.
func appendRecord(b []byte, kind byte, public key.Public, stamp wire.TAI64N) []byte {
	start := len(b)
	b = append(b, kind, 0, 0, 0)
	b = append(b, stamp[:]...)
	b = append(b, public[:]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// set sets the stamp of a peer; the zero stamp forgets the peer.
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
	return b.Flush() // errors are sticky: Flush returns the first
}

// records returns how many records writeTo writes.
func (c *contents) records() int { return 1 + len(c.received) }

// load reads a file. It ignores damaged records and uses all others. The error
// is errHeading or the reader's; c then has what was read before.
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
		// A damaged record may have raised the ceiling above the last intact one.
		// A20 requires that it is not too low; too high does no harm.
		c.ceiling = highest
	}
	return c, d, err
}

func short(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// replay applies a record, and returns false if the record is damaged.
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
