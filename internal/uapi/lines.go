package uapi

import (
	"bytes"
	"errors"
	"io"
)

// lines reads lines of bounded length, however the bytes arrive (B54). It has
// its own buffer and erases what it has given out, for keys pass through it.
type lines struct {
	r          io.Reader
	beforeRead func() // a read; may be nil
	buf        [bufferSize]byte
	start, end int // what was read and not given out
	scanned    int // of that, bytes without a line's end
	tooLong    bool
	err        error
}

// bufferSize is read at once: two of the longest lines, and enough that a
// hundred thousand peers (20 MB) are no matter of system calls.
const bufferSize = max(32<<10, 2*(MaxLine+2))

// maxEmptyReads ends a reader that gives nothing, again and again.
const maxEmptyReads = 100

var errTooLong = errors.New("line too long")

// next is the next line without its end, which may be \r\n. The line is valid
// until the next call. A line over MaxLine is passed over and gives errTooLong.
// A last line without an end is lost: who is cut off has not finished asking.
func (l *lines) next() ([]byte, error) {
	for {
		if i := bytes.IndexByte(l.buf[l.start+l.scanned:l.end], '\n'); i >= 0 {
			line := l.buf[l.start : l.start+l.scanned+i]
			l.start += l.scanned + i + 1
			l.scanned = 0
			line = bytes.TrimSuffix(line, []byte{'\r'})
			if l.tooLong || len(line) > MaxLine {
				l.tooLong = false
				return nil, errTooLong
			}
			return line, nil
		}
		if l.err != nil {
			return nil, l.err
		}
		l.fill()
	}
}

// atEnd reports whether the reader ended between lines.
func (l *lines) atEnd() bool { return l.start == l.end && !l.tooLong }

// fill reads once. Before it, it moves what is left to the front and erases
// the rest.
func (l *lines) fill() {
	l.scanned = l.end - l.start
	if l.scanned > MaxLine+1 {
		l.tooLong = true
		l.start, l.scanned = l.end, 0
	}
	copy(l.buf[:], l.buf[l.start:l.end])
	l.start, l.end = 0, l.end-l.start
	clear(l.buf[l.end:])
	if l.beforeRead != nil {
		l.beforeRead()
	}
	for range maxEmptyReads {
		var n int
		n, l.err = l.r.Read(l.buf[l.end:])
		l.end += n
		if n > 0 || l.err != nil {
			return
		}
	}
	l.err = io.ErrNoProgress
}

// erase forgets everything that was given out.
func (l *lines) erase() { clear(l.buf[:l.start]) }
