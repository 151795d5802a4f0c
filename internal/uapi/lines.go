package uapi

import (
	"bytes"
	"errors"
	"io"
)

// lines reads lines of limited length, however the bytes arrive (B54). It has its
// own buffer and erases the lines that were used, because they contain keys.
type lines struct {
	r          io.Reader
	beforeRead func() // called before each read; may be nil
	buf        [bufferSize]byte
	start, end int // the part of buf that was read and not returned yet
	scanned    int // bytes after start that contain no newline
	tooLong    bool
	err        error
}

// bufferSize is enough for two lines of the maximum length. It is so large that
// reading 100,000 peers (20 MB) takes few system calls.
const bufferSize = max(32<<10, 2*(MaxLine+2))

// maxEmptyReads is how many reads in a row may return no bytes.
const maxEmptyReads = 100

var errTooLong = errors.New("line too long")

// next returns the next line without its end, which may be \r\n. The line is
// valid until the next call. next skips a line that is longer than MaxLine and
// returns errTooLong. It ignores a last line without an end, which is part of an
// incomplete request.
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

// fill reads once. First it moves the unused part of buf to the front and erases
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

// erase erases all lines that were returned.
func (l *lines) erase() { clear(l.buf[:l.start]) }
