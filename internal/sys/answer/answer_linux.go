package answer

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// A conn is a socket of all local addresses.
type conn struct{ *net.UDPConn }

// A client is the address of a client and what it has written to.
type client struct {
	*net.UDPAddr
	at   netip.Addr // what it has written to
	from string     // the control message of an answer, which leaves from there; "" if not known
}

// String is different for different values.
func (c *client) String() string { return c.UDPAddr.String() + " at " + c.at.String() }

// follow makes the kernel tell to which address a datagram was sent, if it can.
func follow(udp *net.UDPConn) net.PacketConn {
	raw, err := udp.SyscallConn()
	if err != nil {
		return udp
	}
	told := false
	err = raw.Control(func(fd uintptr) {
		v4 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		v6 := unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		told = v4 == nil || v6 == nil
	})
	if err != nil || !told {
		return udp
	}
	return &conn{udp}
}

// ReadFrom implements net.PacketConn.
func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	var control [unix.SizeofInet6Pktinfo + unix.SizeofInet4Pktinfo + 2*unix.SizeofCmsghdr + 16]byte
	n, size, _, from, err := c.ReadMsgUDP(b, control[:])
	if err != nil {
		return n, nil, err
	}
	at, message := source(control[:size])
	return n, &client{from, at, message}, nil
}

// WriteTo implements net.PacketConn. If the address cannot be answered from, because it is
// gone for example, the kernel chooses another one.
func (c *conn) WriteTo(b []byte, to net.Addr) (int, error) {
	addressee, ok := to.(*client)
	if !ok {
		return c.UDPConn.WriteTo(b, to)
	}
	if addressee.from != "" {
		if n, _, err := c.WriteMsgUDP(b, []byte(addressee.from), addressee.UDPAddr); err == nil {
			return n, nil
		}
	}
	return c.UDPConn.WriteTo(b, addressee.UDPAddr)
}

// source returns the control message by which an answer leaves from the address to which
// the request was sent, and that address.
func source(control []byte) (at netip.Addr, message string) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return at, ""
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			var info unix.Inet6Pktinfo
			copy(info.Addr[:], m.Data)
			at = netip.AddrFrom16(info.Addr)
			if at.IsMulticast() {
				return at, ""
			}
			if at.IsLinkLocalUnicast() && !at.Is4In6() { // the only address that needs a link
				info.Ifindex = binary.NativeEndian.Uint32(m.Data[16:])
			}
			return at.Unmap(), string(unix.PktInfo6(&info))
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			var info unix.Inet4Pktinfo
			copy(info.Spec_dst[:], m.Data[4:]) // the local address, also of a broadcast
			return netip.AddrFrom4(info.Spec_dst), string(unix.PktInfo4(&info))
		}
	}
	return at, ""
}
