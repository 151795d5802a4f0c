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
	first  *conn
	number uint8 // in its address
}

// mostSendSockets there are beside one socket: the addresses end there.
const mostSendSockets = 254

// group4 and group6 are multicast groups for examples in documents (RFC 6676):
// no network has members of them.
func (s *sendSocket) address() netip.Addr {
	if s.first.v4 {
		return netip.AddrFrom4([4]byte{233, 252, 0, s.number})
	}
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x0e, 10: 0x0d, 11: 0xb8, 15: s.number})
}

func (c *conn) OpenSendSocket(o SendOptions) (SendSocket, error) {
	g := &c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.closed.Load() {
		return nil, os.ErrClosed
	}
	s := &sendSocket{first: c}
	if s.number = g.freeNumber(); s.number == 0 {
		return nil, errors.New("there are as many sockets for sending as there can be")
	}
	err := s.open(o)
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

func (s *sendSocket) open(o SendOptions) error {
	port, err := s.first.port()
	if err != nil {
		return err
	}
	if err := s.first.reuse(true); err != nil {
		return err
	}
	options := s.first.options
	options.Mark, options.NoGRO = s.first.mark.Load(), true
	if s.conn, err = open(netip.AddrPortFrom(s.address(), port), options, s.first.beside); err != nil {
		return err
	}
	s.conn.calls = s.first.calls
	return s.conn.control(func(fd int) error { return s.limit(fd, o) })
}

// limit sets what the options say, and that nothing is received: somebody on this
// host could send to the group and fill the receive buffer.
func (s *sendSocket) limit(fd int, o SendOptions) error {
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	if o.Buffer > 0 {
		s.conn.caps.SendBuffer = widen(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, o.Buffer)
	}
	if !o.DontFragment {
		return err
	}
	if s.first.v4 {
		return errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE))
	}
	return errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE))
}

func (s *sendSocket) Queued() (n int, err error) {
	err = s.conn.control(func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		return err
	})
	return n, err
}

func (s *sendSocket) Close() error {
	g := &s.first.group
	g.mu.Lock()
	g.senders = slices.DeleteFunc(g.senders, func(other *sendSocket) bool { return other == s })
	g.mu.Unlock()
	return s.conn.Close()
}
