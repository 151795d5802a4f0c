package proxy

import (
	"io"
	"net"
	"sync"

	"wgd/internal/sys/readable"
)

// Connections without traffic hold no large buffer: there may be thousands of
// them.
const (
	// largeBuffer is two super-packets of netstack, which have up to 61,339 bytes
	// of data: with 64 KB, every second super-packet had a few segments only, and
	// a stream needed a quarter more processor time. The longest datagram fits in
	// as well.
	largeBuffer = 119 << 10
	smallBuffer = 1 << 10
)

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// A reader reads from a connection into a large buffer, which it holds only while
// there is data.
type reader struct {
	src io.Reader
	// wait waits until src has data or has ended. It is nil for a connection
	// that cannot tell, such as a *tls.Conn. Then a small buffer takes what
	// arrives first, and a large one what follows until a read leaves a part of
	// it empty.
	wait   func() error
	source *readable.Source // nil, if the system or the connection has none
	filled bool             // the last read filled its buffer
	small  []byte
	large  *[largeBuffer]byte // nil, or held
}

// waitReadable is a connection of a Tunnel that can wait for data.
type waitReadable interface {
	// WaitReadable returns nil when a read would not block.
	WaitReadable() error
}

// newReader returns a reader of src.
func newReader(src net.Conn) *reader {
	return &reader{src: src, wait: waiterOf(src), source: readable.SourceOf(src)}
}

// waiterOf returns a function that waits until conn can be read, or nil.
func waiterOf(conn any) func() error {
	if w, ok := conn.(waitReadable); ok {
		return w.WaitReadable
	}
	return readable.Waiter(conn)
}

// writerFrom is a connection of a Tunnel that reads what it sends into its own memory.
type writerFrom interface {
	// WriteFrom writes the r.Len() bytes of r.
	WriteFrom(r interface {
		io.Reader
		Len() int
	}) error
}

// passTo waits until something has arrived, and writes it to dst. It returns io.EOF at the
// end of the stream, a *readError, or the error of dst.
func (r *reader) passTo(dst io.Writer) error {
	if to, ok := dst.(writerFrom); ok && r.source != nil {
		r.release()
		if err := r.source.Wait(); err != nil {
			return &readError{err}
		}
		if r.source.Len() > 0 {
			err := to.WriteFrom(r.source)
			if failed := r.source.Err(); failed != nil {
				return &readError{failed}
			}
			return err
		}
	}
	data, err := r.read()
	if len(data) > 0 {
		if _, err := dst.Write(data); err != nil {
			return err
		}
	}
	if err != nil && err != io.EOF {
		return &readError{err}
	}
	return err
}

// read returns what has arrived. It is valid until the next call.
func (r *reader) read() ([]byte, error) {
	if r.wait != nil {
		r.release()
		if err := r.wait(); err != nil {
			return nil, err
		}
		return r.readInto(r.hold())
	}
	if r.filled {
		return r.readInto(r.hold())
	}
	r.release()
	if r.small == nil {
		r.small = make([]byte, smallBuffer)
	}
	return r.readInto(r.small)
}

func (r *reader) readInto(buf []byte) ([]byte, error) {
	n, err := r.src.Read(buf)
	r.filled = n == len(buf)
	return buf[:n], err
}

func (r *reader) hold() []byte {
	if r.large == nil {
		r.large = largeBuffers.Get().(*[largeBuffer]byte)
	}
	return r.large[:]
}

// release gives the large buffer back.
func (r *reader) release() {
	if r.large != nil {
		largeBuffers.Put(r.large)
		r.large = nil
	}
}

// A packetReader has a large buffer for each datagram that has arrived. Where it
// can wait, it holds none while there is nothing to read.
type packetReader struct {
	wait  func() error
	large *[largeBuffer]byte
}

// buffer returns the buffer for the next datagram. It is valid until the next
// call.
func (r *packetReader) buffer() ([]byte, error) {
	if r.wait != nil {
		r.release()
		if err := r.wait(); err != nil {
			return nil, err
		}
	}
	if r.large == nil {
		r.large = largeBuffers.Get().(*[largeBuffer]byte)
	}
	return r.large[:], nil
}

func (r *packetReader) release() {
	if r.large != nil {
		largeBuffers.Put(r.large)
		r.large = nil
	}
}
