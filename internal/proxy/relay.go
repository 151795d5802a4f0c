package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Relay copies between two connections, in both directions, and closes both when
// both directions have ended or ctx is done. The end of a stream is passed on
// and leaves the other direction open. A stream that breaks off is passed on as
// a reset where that is possible: as an end, it would make a part of the data
// look like all of it.
func Relay(ctx context.Context, a, b net.Conn) {
	r := relayed{halfClosedTimeout: halfClosedTimeout}
	r.run(ctx, a, b)
}

// relayed is the state that the two directions of a connection share.
type relayed struct {
	halfClosedTimeout time.Duration
	halfClosed        atomic.Bool
}

func (r *relayed) run(ctx context.Context, a, b net.Conn) {
	defer a.Close()
	defer b.Close()
	stop := context.AfterFunc(ctx, func() {
		a.Close()
		b.Close()
	})
	defer stop()
	var other sync.WaitGroup
	other.Go(func() { r.direction(b, a) })
	r.direction(a, b)
	other.Wait()
}

// direction copies from src to dst until the stream ends or breaks off.
func (r *relayed) direction(dst, src net.Conn) {
	err := r.copy(dst, src)
	if err == nil {
		err = closeWrite(dst)
	}
	if read := (*readError)(nil); errors.As(err, &read) || errors.Is(err, errNoHalfClose) {
		abort(dst)
		abort(src)
		return
	}
	// dst has got everything, or takes no more. In both cases, what it still
	// sends is wanted.
	r.halfClosed.Store(true)
	dst.SetReadDeadline(time.Now().Add(r.halfClosedTimeout))
}

// A readError is an error of the connection that was read from.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }

// copy copies until the end of src. It returns a *readError, or the error of a
// write.
func (r *relayed) copy(dst io.Writer, src net.Conn) error {
	in := newReader(src)
	defer in.release()
	var extended time.Time // when the deadline was last set
	for {
		if err := in.passTo(dst); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if r.halfClosed.Load() {
			if now := time.Now(); now.Sub(extended) > r.halfClosedTimeout/8 {
				extended = now
				src.SetReadDeadline(now.Add(r.halfClosedTimeout))
			}
		}
	}
}

// What connections can do that not all of them can.
type (
	closeWriter interface{ CloseWrite() error }
	lingerer    interface{ SetLinger(seconds int) error }
	netConn     interface{ NetConn() net.Conn } // a *tls.Conn
)

var errNoHalfClose = errors.New("the connection cannot end one direction only")

// closeWrite ends the stream that c sends.
func closeWrite(c net.Conn) error {
	if half, ok := c.(closeWriter); ok {
		return half.CloseWrite()
	}
	return errNoHalfClose
}

// abort closes c so that the other side sees that its stream broke off.
func abort(c net.Conn) {
	under := c
	if wrapped, ok := c.(netConn); ok {
		under = wrapped.NetConn()
	}
	if tcp, ok := under.(lingerer); ok {
		tcp.SetLinger(0)
		under.Close() // before c, which would send a message of its own
	}
	c.Close()
}
