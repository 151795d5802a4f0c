package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
)

// flushDelay is how long an event may wait for others, so that many events in a row
// do not take a system call each.
const flushDelay = 20 * time.Millisecond

// A request that is answered by a stream is the last one of its connection.
type streamRequest struct {
	conn     *connection
	requests *uapi.Decoder
	answer   *bufio.Writer
}

// events answers a request for events.
func (s *Server) events(r streamRequest, t Target, seq uint64) {
	watcher, ok := t.(Watcher)
	if !ok {
		s.writeResult(r.answer, &uapi.Error{Errno: uapi.EPROTO, Sentence: "this daemon reports no events"})
		return
	}
	stream(s, r, flushDelay, uapi.WriteEvent, func(ctx context.Context) iter.Seq[conf.Event] { return watcher.EventsAfter(ctx, seq) })
}

// wants answers a request for wants. A want is not delayed: a handshake waits for it.
func (s *Server) wants(r streamRequest, t Target) {
	wanter, ok := t.(Wanter)
	if !ok {
		s.writeResult(r.answer, &uapi.Error{Errno: uapi.EPROTO, Sentence: "this daemon reports no wants"})
		return
	}
	stream(s, r, 0, uapi.WriteWant, wanter.Wants)
}

// refuse passes a refusal to a Wanter.
func refuse(t Target, r conf.Refusal) error {
	wanter, ok := t.(Wanter)
	if !ok {
		return &uapi.Error{Errno: uapi.EPROTO, Sentence: "this daemon reports no wants"}
	}
	wanter.Refuse(r)
	return nil
}

// stream writes what a target reports, until the client or the target has ended. Then
// the connection ends.
func stream[E any](s *Server, r streamRequest, delay time.Duration, write func(*bufio.Writer, *E) error, reports func(context.Context) iter.Seq[E]) {
	conn, requests, answer := r.conn, r.requests, r.answer
	if !conn.stream() {
		s.writeResult(answer, &uapi.Error{Errno: uapi.EIO, Sentence: "too many programs read the events or wants of this interface: end one of them"})
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	out := &lateWriter{w: answer, delay: delay, cancel: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		requests.Next() // the end of the connection; a stream takes no other request
		cancel()
	}()
	for e := range reports(ctx) {
		if out.write(func(w *bufio.Writer) error { return write(w, &e) }) != nil {
			break
		}
	}
	out.close()
	if ctx.Err() == nil {
		s.writeResult(answer, nil)
	}
	cancel()
	conn.Close()
	<-ended
}

// A lateWriter writes blocks, and flushes them after a delay.
type lateWriter struct {
	delay  time.Duration
	cancel context.CancelFunc // called after an error

	mu    sync.Mutex
	w     *bufio.Writer
	timer *time.Timer // nil if nothing is to be flushed
	err   error
}

func (l *lateWriter) write(block func(*bufio.Writer) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = block(l.w)
	}
	if l.timer == nil && l.err == nil {
		l.timer = time.AfterFunc(l.delay, l.flush)
	}
	return l.err
}

// flush runs while the target waits for the next event. If the client does not read, it
// waits, and so does write; the target does not.
func (l *lateWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		return // closed
	}
	l.timer = nil
	if l.err == nil {
		l.err = l.w.Flush()
	}
	if l.err != nil {
		l.cancel()
	}
}

// close ends the timer. After that the writer belongs to the caller.
func (l *lateWriter) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// Events requests the events after a number, and then those that happen. The first is
// of kind conf.EventsBegin. It ends when the interface has ended or ctx is done, or
// after an error. After that the Client can only be closed.
func (c *Client) Events(ctx context.Context, seq uint64) iter.Seq2[conf.Event, error] {
	return follow(ctx, c, func() error { return uapi.WriteWatch(c.request, seq) }, c.answers.Event)
}

// Wants requests the wants that come up. The first is of kind conf.WantsBegin. It ends as
// Events does.
func (c *Client) Wants(ctx context.Context) iter.Seq2[conf.Want, error] {
	return follow(ctx, c, func() error { return uapi.WriteWantsRequest(c.request) }, c.answers.Want)
}

// Refuse says that nobody adds the peer of a want. The error is the daemon's sentence.
func (c *Client) Refuse(r conf.Refusal) error {
	err := uapi.WriteRefusal(c.request, &r)
	if err == nil {
		err = c.answers.Result()
	}
	return c.explain(err)
}

// follow sends a request, and reads what the daemon reports until ctx is done.
func follow[E any](ctx context.Context, c *Client, request func() error, next func() (E, error)) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		defer context.AfterFunc(ctx, func() { c.conn.Close() })()
		var none E
		if err := request(); err != nil {
			yield(none, c.explain(err))
			return
		}
		c.conn.mayPause = true
		for {
			e, err := next()
			switch {
			case err == nil && yield(e, nil):
				continue
			case err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil:
				yield(none, c.explain(err))
			}
			return
		}
	}
}
