package pcapng

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFormat is matched by the error for a block that AppendSection and the others
// would not have written.
var ErrFormat = errors.New("not a block of pcapng")

// A Block is one whole block.
type Block struct {
	Type uint32
	Raw  []byte // with its type and both lengths
}

// A Reader reads blocks whose numbers are little-endian.
type Reader struct {
	r   *bufio.Reader
	buf []byte
}

const readBytes = 64 << 10

// NewReader returns a Reader that reads from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, readBytes)}
}

// Buffered reports whether a part of the next block was read already.
func (r *Reader) Buffered() bool { return r.r.Buffered() > 0 }

// Next returns the next block, which is valid until the next call. It returns io.EOF
// at the end, and io.ErrUnexpectedEOF if the end is within a block.
func (r *Reader) Next() (Block, error) {
	head, err := r.r.Peek(8)
	if err != nil {
		if errors.Is(err, io.EOF) && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return Block{}, err
	}
	b := Block{Type: binary.LittleEndian.Uint32(head)}
	n := binary.LittleEndian.Uint32(head[4:])
	if n < 12 || n%4 != 0 || n > MaxBlock {
		return Block{}, fmt.Errorf("%w: its length is %d", ErrFormat, n)
	}
	if cap(r.buf) < int(n) {
		r.buf = make([]byte, n)
	}
	b.Raw = r.buf[:n]
	if _, err := io.ReadFull(r.r, b.Raw); err != nil {
		return Block{}, io.ErrUnexpectedEOF
	}
	if again := binary.LittleEndian.Uint32(b.Raw[n-4:]); again != n {
		return Block{}, fmt.Errorf("%w: its lengths are %d and %d", ErrFormat, n, again)
	}
	return b, nil
}

// body returns the block without its type and lengths.
func (b *Block) body() []byte { return b.Raw[8 : len(b.Raw)-4] }

// Packet returns what an Enhanced Packet holds. Its Data are part of the block. ok is
// false for other blocks, and for a damaged one.
func (b *Block) Packet() (p Packet, ok bool) {
	body := b.body()
	if b.Type != EnhancedPacket || len(body) < 20 {
		return p, false
	}
	n := binary.LittleEndian.Uint32(body[12:])
	if uint64(n) > uint64(len(body)-20) {
		return p, false
	}
	p.Interface, p.Time, p.Data = binary.LittleEndian.Uint32(body), readTime(body[4:]), body[20:20+n]
	ok = options(body[min(20+(int(n)+3)&^3, len(body)):], func(code uint16, value []byte) {
		switch {
		case code == optComment:
			p.Comment = string(value)
		case code == epbFlags && len(value) == 4:
			p.Direction = Direction(binary.LittleEndian.Uint32(value) & 3)
		case code == epbDrops && len(value) == 8:
			p.Drops = binary.LittleEndian.Uint64(value)
		}
	})
	return p, ok
}

// Statistics returns what an Interface Statistics holds. ok is false for other blocks,
// and for a damaged one.
func (b *Block) Statistics() (s Statistics, ok bool) {
	body := b.body()
	if b.Type != InterfaceStatistics || len(body) < 12 {
		return s, false
	}
	s.Interface = binary.LittleEndian.Uint32(body)
	ok = options(body[12:], func(code uint16, value []byte) {
		if len(value) != 8 {
			return
		}
		switch code {
		case isbStart:
			s.Start = readTime(value)
		case isbEnd:
			s.End = readTime(value)
		case isbReceived:
			s.Received = binary.LittleEndian.Uint64(value)
		case isbDropped:
			s.Dropped = binary.LittleEndian.Uint64(value)
		}
	})
	return s, ok
}

// options calls f for each option in b, and reports whether they are well-formed.
func options(b []byte, f func(code uint16, value []byte)) bool {
	for len(b) >= 4 {
		code, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if code == optEnd {
			return true
		}
		if b = b[4:]; n > len(b) {
			return false
		}
		f(code, b[:n])
		b = b[min((n+3)&^3, len(b)):]
	}
	return len(b) == 0
}

func readTime(b []byte) int64 {
	return int64(uint64(binary.LittleEndian.Uint32(b))<<32 | uint64(binary.LittleEndian.Uint32(b[4:])))
}
