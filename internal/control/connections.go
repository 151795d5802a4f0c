package control

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"wgd/internal/uapi"
)

const (
	// pauseTimeout is how long either end may pause within a request or an
	// answer, which as a whole may take longer. Between requests a client may
	// pause for any time.
	pauseTimeout = 60 * time.Second

	// maxConnections is how many connections are served at the same time. The
	// limit is lower if they would use more than half of the files that the
	// process may open, because it needs some for packets. A further connection
	// replaces the one that has been idle for the longest time, if it has been
	// idle for idleTime.
	maxConnections = 512
	idleTime       = time.Second
)

// A timedConn is a connection with a deadline of its own for every Read and
// Write.
type timedConn struct {
	net.Conn
	mayPause bool          // the next Read has no deadline
	timeout  time.Duration // of a Read; 0: pauseTimeout
	early    []byte        // was read already, and is the first that Read returns
}

func (c *timedConn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	deadline := time.Time{}
	if !c.mayPause {
		deadline = time.Now().Add(cmp.Or(c.timeout, pauseTimeout))
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
		// The reader is slow, but did not pause for the whole time.
	}
}

// A connection is one of the server's connections.
type connection struct {
	timedConn
	pool   *connections
	rights rights

	// Guarded by pool.mu.
	lastActive time.Time // last time when bytes were received or sent; at first, when it was accepted
	working    bool      // the target is processing its request
	streaming  bool      // it is one of pool.streams
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

// work calls process, in which the target processes a request. Until it returns,
// the connection does not count as idle.
func (c *connection) work(process func()) {
	c.setWorking(true)
	defer c.setWorking(false)
	process()
}

func (c *connection) setWorking(working bool) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.working, c.lastActive = working, time.Now()
}

// stream makes the connection a stream, which is not evicted, for the rest of its life.
// It returns false if there are so many streams that other requests would lack
// connections.
func (c *connection) stream() bool {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	limit := max(c.pool.max/4, 1)
	if c.pool.streams >= limit {
		return false
	}
	// Those who may only read leave half of them to the others.
	if c.rights != allRights && c.pool.readers(func(c *connection) bool { return c.streaming }) >= max(limit/2, 1) {
		return false
	}
	c.streaming = true
	c.pool.streams++
	return true
}

// connections holds the connections of a server.
type connections struct {
	max     int
	freed   chan struct{} // receives a token when a connection has ended
	serving sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	carried int // connections through the tunnel, see Connector
	open    map[*connection]struct{}
	streams int // connections that are not evicted, because they get events
}

func newConnections(limit int) *connections {
	return &connections{max: limit, freed: make(chan struct{}, 1), open: map[*connection]struct{}{}}
}

// add adds a connection. If there are too many, it waits until one ends or can be
// evicted. It returns nil if the server is closed, or if those who may only read have all
// connections that they can have: the others must not wait for them.
func (c *connections) add(conn net.Conn, rights rights) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if rights != allRights && !c.closed && !c.roomForReader() {
		c.mu.Unlock()
		conn.SetWriteDeadline(time.Now().Add(idleTime))
		uapi.WriteResult(bufio.NewWriter(conn), uapi.EIO, "too many programs read the state of this interface: end one of them")
		conn.Close()
		c.mu.Lock()
		return nil
	}
	for !c.closed && len(c.open) >= c.max {
		wait := c.evict(allRights)
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
	added := &connection{timedConn: timedConn{Conn: conn}, pool: c, rights: rights, lastActive: time.Now()}
	c.open[added] = struct{}{}
	c.serving.Add(1)
	return added
}

// roomForReader reports whether one who may only read can have another connection. They
// have at most half of them, and replace only their own.
func (c *connections) roomForReader() bool {
	return len(c.open) < c.max && c.readers(func(*connection) bool { return true }) < max(c.max/2, 1) || c.evict(mayRead) == 0
}

// readers counts the connections of those who may only read, as far as count says so.
func (c *connections) readers(count func(*connection) bool) (n int) {
	for conn := range c.open {
		if conn.rights != allRights && count(conn) {
			n++
		}
	}
	return n
}

// evict closes the connection that has been idle for the longest time, of those that
// have at most these rights. If none has been idle for idleTime, it returns the time after
// which one may have been.
func (c *connections) evict(limit rights) (wait time.Duration) {
	var idlest *connection
	for conn := range c.open {
		if conn.rights <= limit && !conn.working && !conn.streaming && (idlest == nil || conn.lastActive.Before(idlest.lastActive)) {
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

// evictIdle closes the connection that has been idle for the longest time, if any
// has been for idleTime.
func (c *connections) evictIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evict(allRights)
}

// remove closes a connection whose goroutine is about to end.
func (c *connections) remove(conn *connection) {
	conn.Close()
	c.mu.Lock()
	delete(c.open, conn)
	if conn.streaming {
		c.streams--
	}
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

// close closes the listener and all connections, and waits for requests in
// progress.
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
