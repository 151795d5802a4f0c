package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
)

// eventPause is the time that events gather before they are written to a client. A lone
// event is written at once. Of many, those of a pause cost one wake-up and about one
// system call together (one more each time the buffer of the connection is full): on a
// gateway with 100,000 peers, handshakes alone are some 800 events a second, and each
// reader would be woken for each of them.
const eventPause = 250 * time.Millisecond

// So that a Watcher does not drop events that gather, a pause ends at the next multiple
// of pauseStep when maxGathered are there, half of what the Watcher keeps.
const (
	pauseStep   = 20 * time.Millisecond
	maxGathered = 512
)

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
	stream(s, r, report[conf.Event]{
		values: func(ctx context.Context) iter.Seq[conf.Event] { return watcher.EventsAfter(ctx, seq) },
		write:  uapi.WriteEvent,
		newest: func(e *conf.Event) bool { return e.Seq >= watcher.LastEvent() },
		pause:  eventPause,
		enough: func(e *conf.Event) bool { return watcher.LastEvent() >= e.Seq+maxGathered },
	})
}

// wants answers a request for wants. A want does not wait for others: a handshake waits for it.
func (s *Server) wants(r streamRequest, t Target) {
	wanter, ok := t.(Wanter)
	if !ok {
		s.writeResult(r.answer, &uapi.Error{Errno: uapi.EPROTO, Sentence: "this daemon reports no wants"})
		return
	}
	stream(s, r, report[conf.Want]{values: wanter.Wants, write: uapi.WriteWant, newest: func(*conf.Want) bool { return true }})
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

// A report is what a stream consists of.
type report[E any] struct {
	values func(context.Context) iter.Seq[E]
	write  func(*bufio.Writer, *E) error
	newest func(*E) bool // false: another value is there already
	pause  time.Duration // after each flush, in which values gather
	enough func(*E) bool // so many values after this one are there that the pause ends
}

// stream writes what a target reports, until the client or the target has ended. Then
// the connection ends. If the client does not read, the stream waits; the target does not.
func stream[E any](s *Server, r streamRequest, what report[E]) {
	conn, requests, answer := r.conn, r.requests, r.answer
	if !conn.stream() {
		s.writeResult(answer, &uapi.Error{Errno: uapi.EIO, Sentence: "too many programs read the events or wants of this interface: end one of them"})
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		requests.Next() // the end of the connection; a stream takes no other request
		cancel()
	}()
	if what.writeAll(ctx, answer) == nil && ctx.Err() == nil {
		s.writeResult(answer, nil)
	}
	cancel()
	conn.Close()
	<-ended
}

// writeAll writes the values until the target has ended, ctx is done, or after an error.
func (r *report[E]) writeAll(ctx context.Context, w *bufio.Writer) error {
	for e := range r.values(ctx) {
		if err := r.write(w, &e); err != nil {
			return err
		}
		if !r.newest(&e) {
			continue
		}
		if err := w.Flush(); err != nil {
			return err
		}
		r.gather(ctx, &e)
	}
	return nil
}

// gather waits for the pause after the value e.
func (r *report[E]) gather(ctx context.Context, e *E) {
	for left := r.pause; left > 0 && !r.enough(e); left -= pauseStep {
		select {
		case <-time.After(min(left, pauseStep)):
		case <-ctx.Done():
			return
		}
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
