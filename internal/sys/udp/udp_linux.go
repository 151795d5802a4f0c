package udp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Listen opens the sockets of both families on one port, in the network namespace of
// the calling thread, where they stay (A55). With port 0 it chooses one that is free in
// both families (A53). On a host that lacks one of the families it opens the other one
// alone (B21).
func Listen(port uint16, o Options) (*Pair, error) { return listen(port, o, socket) }

// listen is Listen with a given socket call. Tests use it to simulate a host that lacks
// a family.
func listen(port uint16, o Options, socket func(domain int) (int, error)) (*Pair, error) {
	const attempts = 100 // port 0: a port that is free for IPv4 may be taken for IPv6
	for range attempts {
		p, err := listenOnce(port, o, socket)
		var taken *PortTaken
		if port != 0 || !errors.As(err, &taken) {
			return p, err
		}
	}
	return nil, errors.New("no UDP port is free for both IPv4 and IPv6")
}

func listenOnce(port uint16, o Options, socket func(domain int) (int, error)) (*Pair, error) {
	p := NewPair(nil, nil, port)
	for _, v4 := range []bool{true, false} {
		if v4 && o.NoIPv4 || !v4 && o.NoIPv6 {
			continue
		}
		c, err := open(unspecified(v4, p.port), o, socket)
		if lacksFamily(err) {
			continue
		}
		if err != nil {
			p.Close()
			return nil, err
		}
		if v4 {
			p.V4 = c
		} else {
			p.V6 = c
		}
		if p.port == 0 {
			if p.port, err = c.port(); err != nil {
				p.Close()
				return nil, err
			}
		}
	}
	if p.V4 == nil && p.V6 == nil {
		return nil, ErrNoFamily
	}
	return p, nil
}

func socket(domain int) (int, error) {
	return unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
}

// lacksFamily reports whether the error means that the host has no addresses of the
// family.
func lacksFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)
}

// unspecified returns the unspecified address of a family, with the port.
func unspecified(v4 bool, port uint16) netip.AddrPort {
	if v4 {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), port)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), port)
}

// open opens one socket, binds it and sets its options.
func open(local netip.AddrPort, o Options, socket func(domain int) (int, error)) (*conn, error) {
	port, v4 := local.Port(), local.Addr().Is4()
	domain, at := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(port), Addr: local.Addr().As16()})
	if v4 {
		domain, at = unix.AF_INET, &unix.SockaddrInet4{Port: int(port), Addr: local.Addr().As4()}
	}
	fd, err := socket(domain)
	if err != nil {
		return nil, fmt.Errorf("cannot open a UDP socket: %w", err)
	}
	caps, err := prepare(fd, v4, o)
	if err == nil {
		err = explainBind(port, unix.Bind(fd, at))
	}
	var c *conn
	if err == nil {
		c, err = newConn(fd, v4, o, caps)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return c, nil
}

// option is a socket option and its name for errors.
type option struct {
	level, name, value int
	why                string
}

// Outer fragmentation is allowed (A46), so path MTU discovery is off. So is the error
// queue: nothing reads it, and it would wake readers.
var (
	options4 = []option{
		{unix.SOL_IP, unix.IP_PKTINFO, 1, "IP_PKTINFO"},
		{unix.SOL_IP, unix.IP_RECVTOS, 1, "IP_RECVTOS"},
		{unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT, "IP_MTU_DISCOVER"},
		{unix.SOL_IP, unix.IP_RECVERR, 0, "IP_RECVERR"},
	}
	options6 = []option{
		{unix.SOL_IPV6, unix.IPV6_V6ONLY, 1, "IPV6_V6ONLY"},
		{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO"},
		{unix.SOL_IPV6, unix.IPV6_RECVTCLASS, 1, "IPV6_RECVTCLASS"},
		{unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT, "IPV6_MTU_DISCOVER"},
		{unix.SOL_IPV6, unix.IPV6_RECVERR, 0, "IPV6_RECVERR"},
	}
)

func prepare(fd int, v4 bool, o Options) (caps Caps, err error) {
	list := options6
	if v4 {
		list = options4
	}
	for _, x := range list {
		if err := unix.SetsockoptInt(fd, x.level, x.name, x.value); err != nil {
			return caps, fmt.Errorf("the UDP socket refuses %s: %w", x.why, err)
		}
	}
	if o.Mark != 0 {
		if err := setMark(fd, o.Mark); err != nil {
			return caps, err
		}
	}
	if !o.NoGRO {
		caps.GRO = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) == nil
	}
	if !o.NoGSO {
		_, err := unix.GetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT)
		caps.GSO = err == nil
	}
	caps.RecvBuffer = widen(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, BufferSize)
	caps.SendBuffer = widen(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, BufferSize)
	return caps, nil
}

// widen requests a buffer of a size, beyond the system's limit if this process may
// exceed it, and returns the size that was granted. The kernel reports twice that, for
// its own structures.
func widen(fd, force, plain, size int) (granted int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size)
	}
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, plain)
	if err != nil {
		return 0
	}
	return n / 2
}

func setMark(fd int, mark uint32) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
		return &MarkRefused{Mark: mark, Cause: err}
	}
	return nil
}

func explainBind(port uint16, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EADDRINUSE):
		return &PortTaken{Port: port, Cause: err}
	case errors.Is(err, os.ErrPermission):
		return &PortForbidden{Port: port, Cause: err}
	}
	return fmt.Errorf("cannot listen on UDP port %d: %w", port, err)
}
