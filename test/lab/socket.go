package lab

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// A Socket is a UDP socket on a host.
type Socket struct {
	h  *Host
	id int
}

// A Datagram is what a socket received.
type Datagram struct {
	From netip.AddrPort
	Data []byte
}

// SocketArgs are the arguments of the methods of Agent for sockets.
type SocketArgs struct {
	ID            int
	Local, Remote string
	Data          []byte
	Wait          time.Duration
}

// Socket opens a UDP socket. If a remote is given, the socket is connected, and
// reports ICMP errors.
func (h *Host) Socket(local, remote string) Socket {
	h.t.Helper()
	return Socket{h, call[SocketArgs, int](h, "OpenSocket", SocketArgs{Local: local, Remote: remote})}
}

// Send sends a datagram to a remote, which is "" if the socket is connected. It
// returns the text of the error, or "".
func (s Socket) Send(remote string, data []byte) string {
	s.h.t.Helper()
	return call[SocketArgs, string](s.h, "SocketSend", SocketArgs{ID: s.id, Remote: remote, Data: data})
}

// Receive waits for one datagram. It returns the text of the error: that of the
// errno, such as "no route to host", or "timeout".
func (s Socket) Receive(wait time.Duration) (Datagram, string) {
	s.h.t.Helper()
	type answer = SocketAnswer
	a := call[SocketArgs, answer](s.h, "SocketReceive", SocketArgs{ID: s.id, Wait: wait})
	return a.Datagram, a.Error
}

// A SocketAnswer is a datagram, or the reason why there is none.
type SocketAnswer struct {
	Datagram Datagram
	Error    string
}

func (g *Agent) OpenSocket(a SocketArgs, id *int) error {
	local, err := localAddr(a.Local)
	if err != nil {
		return err
	}
	var conn *net.UDPConn
	if a.Remote != "" {
		var remote *net.UDPAddr
		if remote, err = net.ResolveUDPAddr("udp", a.Remote); err == nil {
			conn, err = net.DialUDP("udp", local, remote)
			reportICMPErrors(conn)
		}
	} else {
		conn, err = net.ListenUDP("udp", local)
	}
	if err != nil {
		return err
	}
	*id = g.keep(conn)
	return nil
}

// reportICMPErrors makes a socket report all ICMP errors, not only port unreachable.
func reportICMPErrors(conn *net.UDPConn) {
	if conn == nil {
		return
	}
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
			syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR, 1)
		})
	}
}

func (g *Agent) SocketSend(a SocketArgs, text *string) error {
	conn, err := opened[*net.UDPConn](g, a.ID)
	if err != nil {
		return err
	}
	if a.Remote == "" {
		_, err = conn.Write(a.Data)
	} else {
		var to netip.AddrPort
		if to, err = netip.ParseAddrPort(a.Remote); err != nil {
			return err
		}
		_, err = conn.WriteToUDPAddrPort(a.Data, to)
	}
	*text = errorText(err)
	return nil
}

func (g *Agent) SocketReceive(a SocketArgs, r *SocketAnswer) error {
	conn, err := opened[*net.UDPConn](g, a.ID)
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<16)
	conn.SetReadDeadline(time.Now().Add(a.Wait))
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	r.Error = errorText(err)
	r.Datagram = Datagram{netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:n]}
	return nil
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "timeout"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
