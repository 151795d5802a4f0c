package udp

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// group holds the other sockets on the port of the first one: siblings, which also
// receive, and those that only send.
//
// SO_REUSEPORT lets other programs of the same user bind the port, if they set it,
// too. So the first socket is bound without it: a port in use by another program is an
// error, whatever options that program has set. The option is set only before a second
// socket is bound, and reset when the last one is closed. Meanwhile another program of
// the same user could bind the port. That cannot be prevented, because one option of
// the kernel controls both who may bind and how datagrams are distributed. The socket
// of such a program stays on the port, but receives nothing any more when we are back
// to one socket: then all datagrams are steered to that.
type group struct {
	mu          sync.Mutex
	siblings    []*conn
	sendSockets []*sendSocket
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
		return errors.New("a group needs at least one socket")
	}
	if c.closed.Load() {
		return os.ErrClosed
	}
	for len(g.siblings) < n-1 {
		sibling, err := c.sibling()
		if err != nil {
			return errors.Join(err, c.allowReuse(len(g.siblings) > 0))
		}
		g.siblings = append(g.siblings, sibling)
	}
	for last := len(g.siblings) - 1; last >= n-1; last-- {
		g.siblings[last].Close()
		g.siblings = slices.Delete(g.siblings, last, last+1)
	}
	if n == 1 {
		// From now on, a socket of another program on the port receives nothing.
		c.toFirst()
		return c.allowReuse(false)
	}
	err := c.stopSteering()
	if errors.Is(err, unix.ENOPROTOOPT) {
		err = nil // this kernel does not steer, so there is nothing to stop
	}
	return errors.Join(err, c.allowReuse(true))
}

// close closes all sockets except the first one, which is closed already, so that no
// other socket is opened.
func (g *group) close() error {
	g.mu.Lock()
	list := slices.Clone(g.siblings)
	for _, s := range g.sendSockets {
		list = append(list, s.conn)
	}
	g.mu.Unlock()
	var errs []error
	for _, s := range list { // without mu, which Close of a sendSocket takes
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// sibling opens one more receiving socket.
func (c *conn) sibling() (*conn, error) {
	port, err := c.port()
	if err != nil {
		return nil, err
	}
	if err := c.allowReuse(true); err != nil {
		return nil, err
	}
	o := c.options
	o.Mark = c.mark.Load()
	return open(unspecified(c.v4, port), o, c.shareable)
}

// shareable opens a socket that may be bound to the port of c.
func (c *conn) shareable(domain int) (int, error) {
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

// sameNamespace returns an error if the two sockets are in different network
// namespaces. Kernels before 5.14 do not report that.
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

// allowReuse sets whether other sockets of this user may be bound to the port. The
// kernel checks every socket on the port, so those that only send are set, too.
func (c *conn) allowReuse(on bool) error {
	value := 0
	if on {
		value = 1
	}
	set := func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, value) }
	err := c.control(set)
	for _, s := range c.group.sendSockets {
		err = errors.Join(err, s.conn.control(set))
	}
	return err
}

// SteerToFirst attaches a classic BPF program, which needs no privilege, to the first
// socket.
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

// toFirst attaches the program. It reports whether the kernel can attach and detach it.
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

// awaitReceivers waits until every datagram has arrived for which the kernel chose a
// socket before the call. The kernel chooses and delivers within one RCU read-side
// critical section, and this system call waits for the end of all sections that have
// begun. If it is refused, a sleep longer than such a section must do.
func awaitReceivers() {
	const global, longer = 1, 20 * time.Millisecond // MEMBARRIER_CMD_GLOBAL
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, global, 0, 0); errno != 0 {
		time.Sleep(longer)
	}
}

// stopSteering ends SteerToFirst. Kernels before 5.3 cannot do that.
func (c *conn) stopSteering() error {
	err := c.control(func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0)
	})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) { // no program is attached, or there is one socket
		return nil
	}
	return err
}

// control runs f with the socket, which stays open meanwhile.
func (c *conn) control(f func(fd int) error) error {
	err := os.ErrClosed
	if poll := c.socket.control(func(fd int) { err = f(fd) }); poll != nil {
		return c.pollError(poll)
	}
	return err
}
