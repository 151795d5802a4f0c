package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread that is in the namespace; sockets that f
// opens stay there. The thread is not used again.
func inNamespace(ns *os.File, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine instead of
		// carrying a foreign namespace back to the others.
		runtime.LockOSThread()
		err := errors.New("ended before it was done")
		defer func() { result <- err }() // also when f ends the goroutine
		err = enter(ns, f)
	}()
	return <-result
}

func enter(ns *os.File, f func() error) error {
	// Entering needs CAP_SYS_ADMIN, which a container may not have; the
	// usual case, where one is there already, must work without it.
	if here, err := os.Open("/proc/thread-self/ns/net"); err == nil {
		same := sameNamespace(here, ns)
		here.Close()
		if same {
			return f()
		}
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the interface's network namespace: %w", err)
	}
	return f()
}

func sameNamespace(a, b *os.File) bool {
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// subscription is a netlink socket that hears multicast groups of the
// namespace in which it was opened.
type subscription struct {
	file   *os.File
	conn   syscall.RawConn
	buf    []byte
	oob    []byte
	origin int // of what receive returned last: a namespace by its number, or atHome
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
	s := &subscription{file: os.NewFile(uintptr(fd), "netlink"), buf: make([]byte, 64<<10), oob: make([]byte, unix.CmsgSpace(4)), origin: atHome}
	if s.conn, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return nil, err
	}
	return s, nil
}

// receive waits for the next messages; they are valid until the next call.
// overrun says that some were lost and the state must be read anew.
func (s *subscription) receive() (messages []syscall.NetlinkMessage, overrun bool, err error) {
	var n, extra int
	var from unix.Sockaddr
	var errno error
	err = s.conn.Read(func(fd uintptr) bool {
		n, extra, _, from, errno = unix.Recvmsg(int(fd), s.buf, s.oob, 0)
		return errno != unix.EAGAIN && errno != unix.EINTR
	})
	switch {
	case err != nil:
		return nil, false, err
	case errno == unix.ENOBUFS:
		return nil, true, nil
	case errno != nil:
		return nil, false, errno
	}
	// Only the kernel's word counts; any process may send to a netlink socket.
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil, false, nil
	}
	s.origin = originOf(s.oob[:extra])
	messages, err = syscall.ParseNetlinkMessage(s.buf[:n])
	if err != nil {
		return nil, true, nil
	}
	return messages, false, nil
}

// originOf is the number of the namespace that sent a message, from what stands
// beside it: nothing where it is the socket's own.
func originOf(oob []byte) int {
	controls, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return atHome
	}
	for _, c := range controls {
		if c.Header.Level == unix.SOL_NETLINK && c.Header.Type == unix.NETLINK_LISTEN_ALL_NSID && len(c.Data) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(c.Data)))
		}
	}
	return atHome
}

func (s *subscription) close() { s.file.Close() }
