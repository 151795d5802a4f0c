package udp

import (
	"errors"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// sendSocket is a SendSocket.
//
// It is bound to a multicast group that nobody is a member of. So it has the port
// of the conn, and the kernel still chooses the source address by the route, as
// for a socket without an address; but it takes none of the datagrams that come
// to addresses of the host, and it is in no group of SO_REUSEPORT with the
// sockets that do. Each has another address, or the kernel would ask all of them
// for SO_REUSEPORT whenever one is bound.
type sendSocket struct {
	*conn
	number uint8 // in its address
}

// mostSendSockets there are beside one socket: the addresses end there.
const mostSendSockets = 254

// address is a multicast group for examples in documents (RFC 6676): no network
// has members of it.
func (s *sendSocket) address(v4 bool) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{233, 252, 0, s.number})
	}
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x0e, 10: 0x0d, 11: 0xb8, 15: s.number})
}

func (c *conn) OpenSendSocket(o SendOptions) (SendSocket, error) {
	s, err := c.openSendSocket(o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// openSendSocket opens one beside the socket that receives, be that c or not.
func (c *conn) openSendSocket(o SendOptions) (*sendSocket, error) {
	if c.first != nil {
		c = c.first
	}
	g := &c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.closed.Load() {
		return nil, os.ErrClosed
	}
	s := &sendSocket{}
	if s.number = g.freeNumber(); s.number == 0 {
		return nil, errors.New("there are as many sockets for sending as there can be")
	}
	err := s.open(c, o)
	if s.conn != nil {
		g.senders = append(g.senders, s)
	}
	err = errors.Join(err, c.reuse(len(g.siblings) > 0)) // as before, for all of them
	if err == nil {
		return s, nil
	}
	if s.conn != nil {
		g.senders = g.senders[:len(g.senders)-1]
		s.conn.Close()
	}
	return nil, err
}

// freeNumber is one that no socket has; 0 when there is none.
func (g *group) freeNumber() uint8 {
	for n := range mostSendSockets {
		number := uint8(n + 1)
		if !slices.ContainsFunc(g.senders, func(s *sendSocket) bool { return s.number == number }) {
			return number
		}
	}
	return 0
}

func (s *sendSocket) open(first *conn, o SendOptions) error {
	port, err := first.port()
	if err != nil {
		return err
	}
	if err := first.reuse(true); err != nil {
		return err
	}
	options := first.options
	options.Mark, options.NoGRO = first.mark.Load(), true
	c, err := open(netip.AddrPortFrom(s.address(first.v4), port), options, func(domain int) (int, error) {
		fd, err := first.beside(domain)
		if err == nil {
			receiveNothing(fd)
		}
		return fd, err
	})
	if err != nil {
		return err
	}
	c.first, c.sendOptions, c.calls = first, o, first.calls
	s.conn = c
	return c.control(c.follow)
}

// receiveNothing: somebody on this host could send to the group and fill the
// receive buffer.
func receiveNothing(fd int) {
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
}

// follow sets what sendOptions say.
func (c *conn) follow(fd int) error {
	o := c.sendOptions
	if o.Buffer > 0 {
		c.caps.SendBuffer = widen(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, o.Buffer)
	}
	if !o.DontFragment {
		return nil
	}
	if c.v4 {
		return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
}

func (s *sendSocket) Queued() (n int, err error) {
	err = s.conn.control(func(fd int) error {
		n = s.conn.calls.queued(uintptr(fd))
		return nil
	})
	return n, err
}

func (s *sendSocket) Close() error {
	g := &s.conn.first.group
	g.mu.Lock()
	g.senders = slices.DeleteFunc(g.senders, func(other *sendSocket) bool { return other == s })
	g.mu.Unlock()
	return s.conn.Close()
}
