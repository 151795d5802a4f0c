package main

import (
	"errors"
	"fmt"
	"io"

	"wgd/conf"
	"wgd/internal/pcapng"
	"wgd/internal/sys/errno"
)

// A tally copies a capture and counts its packets, by the number of their interface.
type tally struct {
	end func() // makes the daemon end the capture

	captured  [2]int
	dropped   [2]uint64
	unwritten int   // packets that were read but could not be written
	bytes     int64 // whole blocks that were written
	ended     bool  // all of it was read, or nobody reads it
	buffer    []byte
	buffered  []bufferedBlock // the blocks in it
}

// A bufferedBlock is a block in the buffer of a tally.
type bufferedBlock struct {
	end    int    // of the block in the buffer
	packet bool   // it is a packet of a known interface
	iface  uint32 // of the packet
}

const captureBuffer = 256 << 10

// copy copies the capture, and counts. That the reader of w has ended is no error.
func (t *tally) copy(w io.Writer, stream io.Reader) error {
	blocks := pcapng.NewReader(stream)
	for {
		b, err := blocks.Next()
		switch {
		case errors.Is(err, pcapng.ErrFormat):
			return errors.Join(t.flush(w), err)
		case err != nil: // the end, or the daemon was killed
			return t.failed(t.flush(w), blocks)
		}
		t.noteEnd(&b)
		t.buffer = append(t.buffer, b.Raw...)
		p, ok := b.Packet()
		t.buffered = append(t.buffered, bufferedBlock{len(t.buffer), ok && p.Interface < 2, p.Interface})
		if len(t.buffer) >= captureBuffer || !blocks.Buffered() {
			err = t.flush(w)
		}
		if err != nil {
			return t.failed(err, blocks)
		}
	}
}

// flush writes the buffer, and counts the packets in it whose blocks were written.
func (t *tally) flush(w io.Writer) error {
	if len(t.buffer) == 0 {
		return nil
	}
	n, err := w.Write(t.buffer)
	whole := 0
	for _, b := range t.buffered {
		if b.end <= n {
			whole = b.end
		}
		switch {
		case !b.packet:
		case b.end <= n:
			t.captured[b.iface]++
		default:
			t.unwritten++
		}
	}
	t.bytes += int64(whole)
	t.buffer, t.buffered = t.buffer[:0], t.buffered[:0]
	return err
}

// failed handles an error of flush. If the reader has ended, that is no error. After
// another one the rest is read, to know how much is missing.
func (t *tally) failed(err error, rest *pcapng.Reader) error {
	switch {
	case errno.Broken(err):
		t.ended, t.unwritten = true, 0
		return nil
	case err == nil:
		return nil
	}
	t.end()
	for {
		b, end := rest.Next()
		if end != nil {
			return err
		}
		t.noteEnd(&b)
		if _, ok := b.Packet(); ok {
			t.unwritten++
		}
	}
}

// noteEnd notes the statistics, which are at the end.
func (t *tally) noteEnd(b *pcapng.Block) {
	if s, ok := b.Statistics(); ok && s.Interface < 2 {
		t.dropped[s.Interface] = s.Dropped
		t.ended = true
	}
}

// text says how many packets there were.
func (t *tally) text(want conf.Capture) string {
	text := fmt.Sprintf("%d packets captured", t.captured[0]+t.captured[1])
	if want.Outer && want.Inner {
		text += fmt.Sprintf(" (%d outside, %d inside)", t.captured[0], t.captured[1])
	}
	text += fmt.Sprintf(", %d dropped", t.dropped[0]+t.dropped[1])
	if t.unwritten > 0 {
		text += fmt.Sprintf(", %d not written", t.unwritten)
	}
	return text
}
