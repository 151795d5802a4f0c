package control

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// pauseTimeout is how long one end may pause within a request or an answer,
	// however long the whole takes. Between requests a client may wait for ever.
	pauseTimeout = 60 * time.Second

	// maxConnections are served at once, fewer where they would take more than
	// half of the files that the process may open: it needs some for packets. One
	// more takes the place of the one on which nothing has moved for the longest
	// time, if that is idleTime.
	maxConnections = 512
	idleTime       = time.Second
)

// timedConn is a connection that gives each piece its own time to come or to go.
type timedConn struct {
	net.Conn
	mayPause bool // the next piece to come may come at any time
}

func (c *timedConn) Read(b []byte) (int, error) {
	deadline := time.Time{}
	if !c.mayPause {
		deadline = time.Now().Add(pauseTimeout)
	}
	c.SetReadDeadline(deadline)
	return c.Conn.Read(b)
}

func (c *timedConn) Write(b []byte) (n int, err error) {
	for {
		c.SetWriteDeadline(time.Now().Add(pauseTimeout))
		m, err := c.Conn.Write(b[n:])
		n += m
		if m == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		// Slow, but not asleep.
	}
}

// connection is one of the server's, between a client and the target.
type connection struct {
	timedConn
	pool *connections

	// Under the crowd's lock.
	lastActive time.Time // when a byte came or went last, or it was accepted
	working    bool      // the target is carrying out its request
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.timedConn.Read(b)
	c.touch(n)
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	n, err := c.timedConn.Write(b)
	c.touch(n)
	return n, err
}

func (c *connection) touch(bytes int) {
	if bytes > 0 {
		c.pool.mu.Lock()
		c.lastActive = time.Now()
		c.pool.mu.Unlock()
	}
}

// work lets the target carry out a request. That takes as long as it takes, which
// is no idleness of the client's.
func (c *connection) work(carryOut func()) {
	c.setWorking(true)
	defer c.setWorking(false)
	carryOut()
}

func (c *connection) setWorking(working bool) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.working, c.lastActive = working, time.Now()
}

// connections are the connections of a server.
type connections struct {
	max     int
	freed   chan struct{} // has a token after a connection ended
	serving sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[*connection]struct{}
}

func newConnections(limit int) *connections {
	return &connections{max: limit, freed: make(chan struct{}, 1), open: map[*connection]struct{}{}}
}

// add gives a connection a place, for which it may wait; nil when the server is
// closed.
func (c *connections) add(conn net.Conn) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && len(c.open) >= c.max {
		wait := c.evict()
		if wait == 0 {
			continue
		}
		timer := time.NewTimer(wait)
		c.mu.Unlock()
		select {
		case <-c.freed:
		case <-timer.C:
		}
		c.mu.Lock()
		timer.Stop()
	}
	if c.closed {
		conn.Close()
		return nil
	}
	added := &connection{timedConn: timedConn{Conn: conn}, pool: c, lastActive: time.Now()}
	c.open[added] = struct{}{}
	c.serving.Add(1)
	return added
}

// evict ends the connection on which nothing has moved for the longest time. If
// that is not long, it says how much later there may be one to end.
func (c *connections) evict() (wait time.Duration) {
	var idlest *connection
	for conn := range c.open {
		if !conn.working && (idlest == nil || conn.lastActive.Before(idlest.lastActive)) {
			idlest = conn
		}
	}
	if idlest == nil {
		return idleTime
	}
	if wait := idleTime - time.Since(idlest.lastActive); wait > 0 {
		return wait
	}
	delete(c.open, idlest)
	idlest.Close()
	return 0
}

// evictIdle ends a connection that is idle, if there is one.
func (c *connections) evictIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evict()
}

// remove ends a connection whose conversation is over.
func (c *connections) remove(conn *connection) {
	conn.Close()
	c.mu.Lock()
	delete(c.open, conn)
	c.mu.Unlock()
	select {
	case c.freed <- struct{}{}:
	default:
	}
	c.serving.Done()
}

func (c *connections) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// close ends all connections, and what lets new ones in. It returns when no
// request is being carried out.
func (c *connections) close(listener io.Closer) error {
	c.mu.Lock()
	c.closed = true
	err := listener.Close()
	for conn := range c.open {
		conn.Close()
	}
	c.mu.Unlock()
	c.serving.Wait()
	return err
}
