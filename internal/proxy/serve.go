package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// serve accepts connections until ctx is done or l fails, and calls handle for
// each of them in a goroutine. The context that handle gets ends, and the
// connection is closed, when serve is about to return. serve waits for all calls
// of handle.
func serve(ctx context.Context, l net.Listener, log *slog.Logger, handle func(context.Context, net.Conn)) error {
	inner, cancel := context.WithCancel(ctx)
	var handlers sync.WaitGroup
	defer handlers.Wait()
	defer l.Close()
	defer cancel()
	stop := context.AfterFunc(inner, func() { l.Close() })
	defer stop()
	var wait backoff
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			wait = 0
			handlers.Go(func() {
				defer c.Close()
				stop := context.AfterFunc(inner, func() { c.Close() })
				defer stop()
				handle(inner, c)
			})
		case ctx.Err() != nil:
			return nil
		case temporary(err):
			log.Warn("cannot accept a connection now", "listener", l.Addr(), "error", err)
			wait.sleep(inner)
		default:
			return err
		}
	}
}

// temporary reports whether a later call may succeed, as when all file
// descriptors are in use.
func temporary(err error) bool {
	var t interface{ Temporary() bool }
	return !errors.Is(err, net.ErrClosed) && errors.As(err, &t) && t.Temporary()
}

// A backoff is how long the last pause was. The next one is twice as long.
type backoff time.Duration

func (b *backoff) sleep(ctx context.Context) {
	*b = backoff(min(max(2*time.Duration(*b), 5*time.Millisecond), time.Second))
	timer := time.NewTimer(time.Duration(*b))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
