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
	// patience is how long one end may pause within a request or an answer,
	// however long the whole takes. Between requests a client may wait for ever.
	patience = 60 * time.Second

	// maxConnections are served at once, fewer where they would take more than
	// half of the files that the process may open: it needs some for packets. One
	// more takes the place of the one on which nothing has moved for the longest
	// time, if that is idleTime.
	maxConnections = 512
	idleTime       = time.Second
)

// patient is a connection that gives each piece its own time to come or to go.
type patient struct {
	net.Conn
	waits bool // the next piece to come may come at any time
}

func (c *patient) Read(b []byte) (int, error) {
	deadline := time.Time{}
	if !c.waits {
		deadline = time.Now().Add(patience)
	}
	c.SetReadDeadline(deadline)
	return c.Conn.Read(b)
}

func (c *patient) Write(b []byte) (n int, err error) {
	for {
		c.SetWriteDeadline(time.Now().Add(patience))
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
	patient
	crowd *crowd

	// Under the crowd's lock.
	moved   time.Time // when a byte came or went last, or it was accepted
	working bool      // the target is carrying out its request
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.patient.Read(b)
	c.note(n)
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	n, err := c.patient.Write(b)
	c.note(n)
	return n, err
}

func (c *connection) note(bytes int) {
	if bytes > 0 {
		c.crowd.mu.Lock()
		c.moved = time.Now()
		c.crowd.mu.Unlock()
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
	c.crowd.mu.Lock()
	defer c.crowd.mu.Unlock()
	c.working, c.moved = working, time.Now()
}

// crowd are the connections of a server.
type crowd struct {
	most  int
	freed chan struct{} // has a token after a connection ended
	busy  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	open   map[*connection]struct{}
}

func newCrowd(most int) *crowd {
	return &crowd{most: most, freed: make(chan struct{}, 1), open: map[*connection]struct{}{}}
}

// admit gives a connection a place, for which it may wait; nil when the server is
// closed.
func (c *crowd) admit(conn net.Conn) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && len(c.open) >= c.most {
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
	added := &connection{patient: patient{Conn: conn}, crowd: c, moved: time.Now()}
	c.open[added] = struct{}{}
	c.busy.Add(1)
	return added
}

// evict ends the connection on which nothing has moved for the longest time. If
// that is not long, it says how much later there may be one to end.
func (c *crowd) evict() (wait time.Duration) {
	var idlest *connection
	for conn := range c.open {
		if !conn.working && (idlest == nil || conn.moved.Before(idlest.moved)) {
			idlest = conn
		}
	}
	if idlest == nil {
		return idleTime
	}
	if wait := idleTime - time.Since(idlest.moved); wait > 0 {
		return wait
	}
	delete(c.open, idlest)
	idlest.Close()
	return 0
}

// thin ends a connection that is idle, if there is one.
func (c *crowd) thin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evict()
}

// dismiss ends a connection whose conversation is over.
func (c *crowd) dismiss(conn *connection) {
	conn.Close()
	c.mu.Lock()
	delete(c.open, conn)
	c.mu.Unlock()
	select {
	case c.freed <- struct{}{}:
	default:
	}
	c.busy.Done()
}

func (c *crowd) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// close ends all connections, and what lets new ones in. It returns when no
// request is being carried out.
func (c *crowd) close(door io.Closer) error {
	c.mu.Lock()
	c.closed = true
	err := door.Close()
	for conn := range c.open {
		conn.Close()
	}
	c.mu.Unlock()
	c.busy.Wait()
	return err
}
