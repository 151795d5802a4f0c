package serve

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/uapi"
)

// A Daemon is what serve needs of the daemon of an interface, which may start and end at any
// time. Its methods may be called from several goroutines.
type Daemon interface {
	// Wants returns the wants that come up, until the daemon or ctx ends.
	Wants(ctx context.Context) iter.Seq2[conf.Want, error]
	// Events returns the events that happen from now on, until the daemon or ctx ends. The
	// first is of kind conf.EventsBegin.
	Events(ctx context.Context) iter.Seq2[conf.Event, error]
	// EachPeer calls f for each peer, which f must not keep. This and the others return when
	// ctx ends.
	EachPeer(ctx context.Context, f func(*conf.PeerStatus)) error
	// Apply makes all changes or, if it returns an error, none. A *uapi.Error is the sentence
	// of the daemon about this change; after any other error the daemon may be gone.
	Apply(context.Context, conf.Change) error
	// Refuse says that nobody adds the peer of a want.
	Refuse(context.Context, conf.Refusal) error
}

// Socket returns the daemon behind the control socket of an interface.
func Socket(name string) Daemon { return &socket{name: name} }

// A socket has one connection for changes, one for refusals, and one for each stream.
type socket struct {
	name              string
	changes, refusals line
}

func (s *socket) Wants(ctx context.Context) iter.Seq2[conf.Want, error] {
	return stream(s.name, func(c *control.Client) iter.Seq2[conf.Want, error] { return c.Wants(ctx) })
}

func (s *socket) Events(ctx context.Context) iter.Seq2[conf.Event, error] {
	return stream(s.name, func(c *control.Client) iter.Seq2[conf.Event, error] { return c.Events(ctx, conf.FromNow) })
}

// stream dials, and returns what a stream has.
func stream[E any](name string, request func(*control.Client) iter.Seq2[E, error]) iter.Seq2[E, error] {
	return func(yield func(E, error) bool) {
		client, err := control.Dial(name)
		if err != nil {
			var none E
			yield(none, err)
			return
		}
		defer client.Close()
		request(client)(yield)
	}
}

func (s *socket) EachPeer(ctx context.Context, f func(*conf.PeerStatus)) error {
	client, err := control.Dial(s.name)
	if err != nil {
		return err
	}
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()
	return client.EachPeer(f)
}

func (s *socket) Apply(ctx context.Context, c conf.Change) error {
	return s.changes.do(ctx, s.name, func(client *control.Client) error { return client.Apply(c) })
}

func (s *socket) Refuse(ctx context.Context, r conf.Refusal) error {
	return s.refusals.do(ctx, s.name, func(client *control.Client) error { return client.Refuse(r) })
}

// A line is a connection that stays open between requests.
type line struct {
	mu     sync.Mutex
	client *control.Client
}

// do makes a request. The daemon may have closed the connection while it was idle, or may
// be another one: then the request is made again, on a new connection. That is right for
// requests that may be made twice, such as those of a Daemon.
func (l *line) do(ctx context.Context, name string, request func(*control.Client) error) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for reused := true; reused && ctx.Err() == nil; {
		if reused = l.client != nil; !reused {
			if l.client, err = control.Dial(name); err != nil {
				l.client = nil
				return err
			}
		}
		client := l.client
		stop := context.AfterFunc(ctx, func() { client.Close() })
		err = request(client)
		stop()
		var refused *uapi.Error
		if err == nil || errors.As(err, &refused) {
			return err
		}
		client.Close()
		l.client = nil
	}
	return cmp.Or(ctx.Err(), err)
}
