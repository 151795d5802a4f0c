package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"

	"wgd/internal/sys/errno"
)

// ListenPortable is Listen with the sockets of package net, for systems other than Linux.
// They send and receive one datagram with each system call, and ignore what Caps.OneSocket
// says. Send waits while the send buffer of the socket is full. OpenBSD and NetBSD cannot
// forbid fragments over IPv4, so batches with DontFragment may be fragmented there.
func ListenPortable(port uint16, o Options) (*Pair, error) { return listenPortable(port, o, listenUDP) }

// listenPortable is ListenPortable with a given call that opens a socket. Tests use it to
// simulate a host that lacks a family.
func listenPortable(port uint16, o Options, listen func(network string, port uint16) (*net.UDPConn, error)) (*Pair, error) {
	const attempts = 100 // port 0: a port that is free for IPv4 may be taken for IPv6
	for range attempts {
		p, err := listenPortableOnce(port, o, listen)
		var taken *PortTaken
		if port != 0 || !errors.As(err, &taken) {
			return p, err
		}
	}
	return nil, errors.New("no UDP port is free for both IPv4 and IPv6")
}

func listenPortableOnce(port uint16, o Options, listen func(network string, port uint16) (*net.UDPConn, error)) (*Pair, error) {
	p := NewPair(nil, nil, port)
	for _, v4 := range []bool{true, false} {
		if v4 && o.NoIPv4 || !v4 && o.NoIPv6 {
			continue
		}
		g, opened, err := openPortable(v4, p.port, o, listen)
		if errno.NoFamily(err) {
			continue
		}
		if err != nil {
			p.Close()
			return nil, explainListen(p.port, err)
		}
		p.port = opened
		if v4 {
			p.V4 = g
		} else {
			p.V6 = g
		}
	}
	if p.V4 == nil && p.V6 == nil {
		return nil, ErrNoFamily
	}
	return p, nil
}

func listenUDP(network string, port uint16) (*net.UDPConn, error) {
	c, err := net.ListenPacket(network, net.JoinHostPort("", strconv.Itoa(int(port))))
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

func openPortable(v4 bool, port uint16, o Options, listen func(string, uint16) (*net.UDPConn, error)) (*connGroup, uint16, error) {
	network, has := "udp6", func(a netip.Addr) bool { return !is4(a) }
	if v4 {
		network, has = "udp4", is4
	}
	socket, err := listen(network, port)
	if err != nil {
		return nil, 0, err
	}
	buffer := widenPortable(socket)
	port = socket.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	g, err := newConnGroup(&udpConn{UDPConn: socket, port: port, v4: v4}, o, has, buffer)
	return g, port, err
}

// widenPortable requests buffers of BufferSize or, where the system refuses that instead
// of reducing it, less. It returns the size that was not refused.
func widenPortable(socket *net.UDPConn) int {
	const minBuffer = 64 << 10
	for size := BufferSize; size >= minBuffer; size /= 2 {
		if socket.SetReadBuffer(size) == nil && socket.SetWriteBuffer(size) == nil {
			return size
		}
	}
	return minBuffer
}

func explainListen(port uint16, err error) error {
	var refused *MarkRefused
	switch {
	case errors.As(err, &refused):
		return refused
	case errno.PortTaken(err):
		return &PortTaken{Port: port, Cause: err}
	case errno.Forbidden(err):
		return &PortForbidden{Port: port, Cause: err}
	}
	return fmt.Errorf("cannot listen on UDP port %d: %w", port, err)
}

// udpConn is a Conn of one UDP socket.
type udpConn struct {
	*net.UDPConn
	port  uint16
	v4    bool
	whole sync.RWMutex // held for writing while the socket forbids fragments
}

func (c *udpConn) Port() uint16 { return c.port }

// Read reads one datagram. Errors about datagrams that were sent earlier, of which
// Windows reports many, are ignored unless there is nothing else.
func (c *udpConn) Read(b []byte) (n, size int, from netip.AddrPort, err error) {
	const maxErrors = 100 // in a row
	for range maxErrors {
		n, from, err = c.ReadFromUDPAddrPort(b)
		if err == nil {
			return n, n, from, nil
		}
		if errors.Is(err, net.ErrClosed) {
			return 0, 0, from, os.ErrClosed
		}
	}
	return 0, 0, from, err
}

// Write sends the datagrams one by one, up to the first error.
func (c *udpConn) Write(b []byte, size int, to netip.AddrPort) error {
	c.whole.RLock()
	defer c.whole.RUnlock()
	return c.write(b, size, to)
}

// WriteWhole is like Write, but the datagrams are not fragmented: DF is set over IPv4. If
// the system has no option for that, they may be. Others wait meanwhile, because the
// option is one of the socket, so this is for few datagrams.
func (c *udpConn) WriteWhole(b []byte, size int, to netip.AddrPort) error {
	c.whole.Lock()
	defer c.whole.Unlock()
	if c.forbidFragments(true) == nil {
		defer c.forbidFragments(false)
	}
	return c.write(b, size, to)
}

func (c *udpConn) forbidFragments(forbid bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = raw.Control(func(fd uintptr) { result = forbidFragments(fd, c.v4, forbid) })
	return errors.Join(err, result)
}

func (c *udpConn) write(b []byte, size int, to netip.AddrPort) error {
	for {
		one := b[:min(size, len(b))]
		if _, err := c.WriteToUDPAddrPort(one, to); err != nil {
			if errno.NoRoom(err) {
				return ErrBacklog
			}
			return err
		}
		if b = b[len(one):]; len(b) == 0 {
			return nil
		}
	}
}
