package udp

import (
	"errors"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// sendOptions are the options of a sendSocket. With the zero value it sends as the
// Group does.
type sendOptions struct {
	buffer int // bytes requested for the send buffer; 0: BufferSize
	// dontFragment sets DF on everything, whatever is known about the path. A datagram
	// longer than the MTU of the link is not sent, and causes an error.
	dontFragment bool
}

// sendSocket is an additional socket on the port, only for sending.
//
//   - It sends from the port of the Group and from the source in the endpoint, with
//     the DSCP and ECN of the train and the mark of the Group. It learns for itself
//     which trains are refused (B61). SetMark and Forget of the Group apply to it,
//     and Close of the Group closes it.
//   - It never receives. It does not affect which socket of the port receives a
//     datagram, whatever SetSockets and SteerToFirst set.
//   - It has its own send buffer: when that is full, sends through other sockets do
//     not wait, and it does not wait when another one is full.
//   - Order is kept when a flow moves from one socket to another, provided that the
//     second Send begins after the first has returned: datagrams wait in queues of
//     the kernel that belong to devices, not to sockets.
//
// It is bound to a multicast group without members. So it has the port of the Group,
// and the kernel still chooses the source address by the route, as for a socket
// without an address. But it receives no datagrams for addresses of the host, and is
// in no SO_REUSEPORT group with the sockets that do. Each one has another address;
// otherwise the kernel would check all of them for SO_REUSEPORT whenever one is bound.
type sendSocket struct {
	*conn
	number uint8 // part of its address
}

// maxSendSockets is how many a Group can have: there are no more addresses.
const maxSendSockets = 254

// address returns a multicast group reserved for documentation (RFC 6676), which has
// no members in any network.
func (s *sendSocket) address(v4 bool) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{233, 252, 0, s.number})
	}
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x0e, 10: 0x0d, 11: 0xb8, 15: s.number})
}

// openSendSocket opens a sendSocket of the Group to which c belongs. It fails in another
// network namespace than that of the Group.
func (c *conn) openSendSocket(o sendOptions) (*sendSocket, error) {
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
		return nil, errors.New("there are no more addresses for sockets that only send")
	}
	err := s.open(c, o)
	if s.conn != nil {
		g.sendSockets = append(g.sendSockets, s)
	}
	err = errors.Join(err, c.allowReuse(len(g.siblings) > 0)) // as before, for all sockets
	if err == nil {
		return s, nil
	}
	if s.conn != nil {
		g.sendSockets = g.sendSockets[:len(g.sendSockets)-1]
		s.conn.Close()
	}
	return nil, err
}

// freeNumber returns an unused number, or 0.
func (g *group) freeNumber() uint8 {
	for n := range maxSendSockets {
		number := uint8(n + 1)
		if !slices.ContainsFunc(g.sendSockets, func(s *sendSocket) bool { return s.number == number }) {
			return number
		}
	}
	return 0
}

func (s *sendSocket) open(first *conn, o sendOptions) error {
	port, err := first.port()
	if err != nil {
		return err
	}
	if err := first.allowReuse(true); err != nil {
		return err
	}
	options := first.options
	options.Mark, options.NoGRO = first.mark.Load(), true
	c, err := open(netip.AddrPortFrom(s.address(first.v4), port), options, func(domain int) (int, error) {
		fd, err := first.shareable(domain)
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
	return c.control(c.setSendOptions)
}

// receiveNothing attaches a filter that drops everything. Otherwise programs on this
// host could fill the receive buffer by sending to the multicast group.
func receiveNothing(fd int) {
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
}

// setSendOptions applies the options to the socket.
func (c *conn) setSendOptions(fd int) error {
	o := c.sendOptions
	if o.buffer > 0 {
		c.caps.SendBuffer = widen(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, o.buffer)
	}
	if !o.dontFragment {
		return nil
	}
	if c.v4 {
		return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
}

func (s *sendSocket) Close() error {
	g := &s.conn.first.group
	g.mu.Lock()
	g.sendSockets = slices.DeleteFunc(g.sendSockets, func(other *sendSocket) bool { return other == s })
	g.mu.Unlock()
	return s.conn.Close()
}

// unfragmented returns the Group's socket for trains that must not be fragmented: DF
// cannot be set for a single message. It returns nil if the socket cannot be opened. Then
// the trains may be fragmented, but do not exceed the MTU of the first link.
func (c *conn) unfragmented() *sendSocket {
	if c.first != nil {
		c = c.first
	}
	if s := c.noFragment.Load(); s != nil {
		return s
	}
	now := c.calls.now()
	if int64(now) < c.retry.Load() {
		return nil
	}
	s, err := c.openSendSocket(sendOptions{dontFragment: true})
	if err != nil {
		c.retry.Store(int64(now + openPause))
		return nil
	}
	if !c.noFragment.CompareAndSwap(nil, s) {
		s.Close() // another sender was faster
	}
	return c.noFragment.Load()
}
