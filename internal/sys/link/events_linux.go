package link

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// eventBytes is room for about a thousand events, so that none of a burst is lost before
// this process reads them.
const eventBytes = 4 << 20

// subscription is a netlink socket that receives multicast groups of the namespace in
// which it was opened.
type subscription struct {
	file *os.File
	conn syscall.RawConn
	buf  []byte
	oob  []byte // nil unless it receives from other namespaces, too
}

// received is the result of one read. It is valid until the next one.
type received struct {
	messages []syscall.NetlinkMessage
	from     int  // the number of the namespace, or atHome
	overrun  bool // events were lost: the state must be read again
}

// subscribe opens a subscription in the namespace of the calling thread.
func subscribe(groups ...uint) (*subscription, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	address := unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	for _, group := range groups {
		address.Groups |= 1 << (group - 1)
	}
	if err := unix.Bind(fd, &address); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink groups: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, eventBytes) != nil {
		// Without CAP_NET_ADMIN, up to the limit for all users.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, eventBytes)
	}
	s := &subscription{file: os.NewFile(uintptr(fd), "netlink"), buf: make([]byte, 64<<10)}
	if s.conn, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

// receiveFromOthers makes it receive from all namespaces that have a number here, too.
// That needs CAP_NET_BROADCAST.
func (s *subscription) receiveFromOthers() (err error) {
	s.oob = make([]byte, unix.CmsgSpace(4))
	control := s.conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, unix.NETLINK_LISTEN_ALL_NSID, 1)
	})
	if control != nil {
		return control
	}
	return err
}

// receive waits for the next messages.
func (s *subscription) receive() (received, error) {
	var n, oobn int
	var from unix.Sockaddr
	var errno error
	err := s.conn.Read(func(fd uintptr) bool {
		n, oobn, _, from, errno = unix.Recvmsg(int(fd), s.buf, s.oob, 0)
		return errno != unix.EAGAIN && errno != unix.EINTR
	})
	switch {
	case err != nil:
		return received{}, err
	case errno == unix.ENOBUFS:
		return received{overrun: true}, nil
	case errno != nil:
		return received{}, errno
	}
	// Any process may send to a netlink socket; only messages of the kernel count.
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return received{}, nil
	}
	messages, err := syscall.ParseNetlinkMessage(s.buf[:n])
	if err != nil {
		return received{overrun: true}, nil
	}
	return received{messages: messages, from: originOf(s.oob[:oobn])}, nil
}

// originOf is the number of the namespace that sent a message, from its control message.
// There is none if it is the socket's own namespace.
func originOf(oob []byte) int {
	controls, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return atHome
	}
	for _, c := range controls {
		if c.Header.Level == unix.SOL_NETLINK && c.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(c.Data) >= 4 {
			return number(c.Data)
		}
	}
	return atHome
}

// number is a 32-bit number as the kernel writes it.
func number(b []byte) int { return int(int32(binary.NativeEndian.Uint32(b))) }

func (s *subscription) close() { s.file.Close() }
