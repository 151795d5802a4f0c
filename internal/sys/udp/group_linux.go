package udp

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// group is the sockets beside a conn: siblings, which receive as it does, and
// those that only send.
//
// SO_REUSEPORT lets whoever has the same user and sets it, too, bind the same
// port. So the first socket is bound without it, and a port that somebody else
// has stays an error, whatever he has set. It is set only when a second socket
// is to come, and taken back when the last of them has gone. Meanwhile a program
// of the same user that asks for SO_REUSEPORT could join: that cannot be ruled
// out, because the kernel looks at the same socket for who may bind and for how
// datagrams are spread. Whoever has joined stays, but gets nothing any more when
// there is one socket again: all is led to that.
type group struct {
	mu       sync.Mutex
	siblings []*conn
	senders  []*sendSocket
}

var errOtherNamespace = errors.New("a socket beside another would be in another network namespace")

func (c *conn) Socket(i int) Socket {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	if i == 0 {
		return c
	}
	return c.group.siblings[i-1]
}

func (c *conn) SetSockets(n int) error {
	g := &c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if n < 1 {
		return errors.New("one socket stays")
	}
	if c.closed.Load() {
		return os.ErrClosed
	}
	for len(g.siblings) < n-1 {
		sibling, err := c.sibling()
		if err != nil {
			return errors.Join(err, c.reuse(len(g.siblings) > 0))
		}
		g.siblings = append(g.siblings, sibling)
	}
	for last := len(g.siblings) - 1; last >= n-1; last-- {
		g.siblings[last].Close()
		g.siblings = slices.Delete(g.siblings, last, last+1)
	}
	if n == 1 {
		// Whoever has joined meanwhile stays on the port, and gets nothing.
		c.toFirst()
		return c.reuse(false)
	}
	err := c.stopSteering()
	if errors.Is(err, unix.ENOPROTOOPT) {
		err = nil // so there is nothing to end
	}
	return errors.Join(err, c.reuse(true))
}

// close closes all of them, after which none is opened any more.
func (g *group) close() error {
	g.mu.Lock()
	list := slices.Clone(g.siblings)
	for _, s := range g.senders {
		list = append(list, s.conn)
	}
	g.mu.Unlock()
	var errs []error
	for _, s := range list { // which may want mu
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// sibling opens one more socket on the port.
func (c *conn) sibling() (*conn, error) {
	port, err := c.port()
	if err != nil {
		return nil, err
	}
	if err := c.reuse(true); err != nil {
		return nil, err
	}
	o := c.options
	o.Mark = c.mark.Load()
	return open(unspecified(c.v4, port), o, c.beside)
}

// beside opens a socket that may be bound to the port of c.
func (c *conn) beside(domain int) (int, error) {
	fd, err := socket(domain)
	if err != nil {
		return 0, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		c.control(func(first int) error { return sameNamespace(first, fd) }))
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// sameNamespace: where it cannot be asked, before kernel 5.14, it is believed.
func sameNamespace(a, b int) error {
	first, err := unix.GetsockoptUint64(a, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return nil
	}
	if second, err := unix.GetsockoptUint64(b, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err != nil || first != second {
		return errOtherNamespace
	}
	return nil
}

// reuse lets sockets of this user be bound beside this one, or no longer. The
// kernel asks every socket on the port, so those that only send are told, too.
func (c *conn) reuse(on bool) error {
	value := 0
	if on {
		value = 1
	}
	set := func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, value) }
	err := c.control(set)
	for _, s := range c.group.senders {
		err = errors.Join(err, s.conn.control(set))
	}
	return err
}

// SteerToFirst has a program of the old kind, which needs no privilege, choose
// the first socket.
func (c *conn) SteerToFirst() bool {
	if c.alone() {
		return true
	}
	if !c.toFirst() {
		return false
	}
	awaitReceivers()
	return true
}

func (c *conn) alone() bool {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return len(c.group.siblings) == 0
}

// toFirst reports whether it could be done, and could be undone.
func (c *conn) toFirst() bool {
	if c.stopSteering() != nil {
		return false
	}
	toFirst := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	program := unix.SockFprog{Len: uint16(len(toFirst)), Filter: &toFirst[0]}
	return c.control(func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &program)
	}) == nil
}

// awaitReceivers waits until every datagram has arrived for which the kernel
// had chosen a socket before the call. To choose and to deliver is one section
// of RCU, and this system call waits for the end of all those that have begun.
// Where it is refused, waiting for longer than that takes has to do.
func awaitReceivers() {
	const global, longer = 1, 20 * time.Millisecond // MEMBARRIER_CMD_GLOBAL
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		time.Sleep(longer)
	}
}

// stopSteering ends SteerToFirst. Before kernel 5.3 that cannot be.
func (c *conn) stopSteering() error {
	err := c.control(func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) { // there is no program, or no group
		return nil
	}
	return err
}

// control runs f on the socket while it is certainly open.
func (c *conn) control(f func(fd int) error) error {
	err := os.ErrClosed
	if poll := c.socket.control(func(fd int) { err = f(fd) }); poll != nil {
		return c.pollError(poll)
	}
	return err
}
