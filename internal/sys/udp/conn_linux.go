package udp

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// conn is a UDP socket on Go's poller. A call is one raw system call that
// never sleeps, made by a callback that was allocated once; everything the
// kernel reads or writes lies in the conn or in slots that it holds.
type conn struct {
	file   *os.File
	raw    syscall.RawConn
	v4     bool
	caps   Caps
	gso    atomic.Bool
	mark   atomic.Uint32
	closed atomic.Bool
	calls  calls

	receiving sync.Mutex
	rx        receiver
	onRecv    func(fd uintptr) bool

	sending sync.Mutex
	tx      sender
	onSend  func(fd uintptr) bool
	onPlain func(fd uintptr) bool
}

// receiver is the state of Recv.
type receiver struct {
	buf   []byte // all slots' data: trains of one read share it
	slots []slot
	hdrs  []mmsghdr
	zones zones
	depth int // asked
	count int // received
	spent int // messages to be made ready again
	errno syscall.Errno
}

// slot is where one train is received. There is one until a deep Recv comes: a
// tunnel that idles stays small.
type slot struct {
	iov     unix.Iovec
	name    sockaddr
	control [controlRoom]byte
}

const (
	slotSize    = 65536 // the longest UDP payload there can be, and one byte more
	controlRoom = 128
)

func newConn(fd int, v4 bool, mark uint32, caps Caps) (*conn, error) {
	c := &conn{v4: v4, caps: caps, calls: kernel}
	c.gso.Store(caps.GSO)
	c.mark.Store(mark)
	c.onRecv, c.onSend, c.onPlain = c.recvNow, c.sendNow, c.plainNow
	c.tx.init()
	file := os.NewFile(uintptr(fd), "udp")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	c.file, c.raw = file, raw
	return c, nil
}

// maxSoft is how many errors in a row Recv takes for weather.
const maxSoft = 100

func (c *conn) Recv(bs []batch.Batch) (int, error) {
	c.receiving.Lock()
	defer c.receiving.Unlock()
	depth := min(len(bs), MaxDepth)
	if depth == 0 {
		return 0, errors.New("Recv needs room for a train")
	}
	for soft := 0; ; soft++ {
		c.rx.prepare(depth)
		if err := c.raw.Read(c.onRecv); err != nil {
			return 0, c.pollError(err)
		}
		if c.rx.spent = c.rx.count; c.rx.errno != 0 {
			c.rx.spent = depth
		}
		if errno := c.rx.errno; errno != 0 && (soft == maxSoft || !isSoft(errno)) {
			return 0, errno
		}
		if n := c.rx.deliver(bs); n > 0 {
			return n, nil
		}
	}
}

// isSoft: an ICMP error about something sent earlier, or a moment without
// memory. To read it was to clear it.
func isSoft(errno syscall.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.ECONNRESET, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN,
		unix.ENOPROTOOPT, unix.EPROTO, unix.EMSGSIZE, unix.EACCES, unix.EPERM, unix.ENONET, unix.EOPNOTSUPP,
		unix.ENOBUFS, unix.ENOMEM, unix.EINTR:
		return true
	}
	return false
}

// prepare makes the first depth messages ready. The kernel overwrites the
// lengths of those that it fills, which are few where little comes.
func (r *receiver) prepare(depth int) {
	if len(r.slots) < depth {
		r.grow(depth)
	}
	for i := range r.spent {
		h := &r.hdrs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlRoom)
		h.Flags = 0
	}
	r.depth, r.count, r.spent, r.errno = depth, 0, 0, 0
}

func (r *receiver) grow(depth int) {
	r.buf = make([]byte, depth*slotSize)
	r.slots = make([]slot, depth)
	r.hdrs = make([]mmsghdr, depth)
	r.spent = depth
	for i := range r.slots {
		s, h := &r.slots[i], &r.hdrs[i].hdr
		s.iov.Base = &r.buf[i*slotSize]
		s.iov.SetLen(slotSize)
		h.Name, h.Control = &s.name[0], &s.control[0]
		h.Iov = &s.iov
		h.SetIovlen(1)
	}
}

func (c *conn) recvNow(fd uintptr) bool {
	r := &c.rx
	for {
		if r.depth == 1 {
			var n int
			n, r.errno = c.calls.recvmsg(fd, &r.hdrs[0].hdr)
			r.hdrs[0].n, r.count = uint32(n), 1
		} else {
			r.count, r.errno = c.calls.recvmmsg(fd, r.hdrs[:r.depth])
		}
		if r.errno != unix.EINTR {
			return r.errno != unix.EAGAIN
		}
	}
}

// deliver describes what was received; what came cut short is left out.
func (r *receiver) deliver(bs []batch.Batch) (n int) {
	if r.errno != 0 {
		return 0
	}
	for i := range r.count {
		h, s := &r.hdrs[i], &r.slots[i]
		from, scope := s.name.get(h.hdr.Namelen)
		if h.hdr.Flags&unix.MSG_TRUNC != 0 || h.n > slotSize || !from.IsValid() {
			continue
		}
		said := parseControl(s.control[:min(int(h.hdr.Controllen), len(s.control))])
		b := &bs[n]
		b.Buf, b.Off = r.buf, i*slotSize
		b.Data = r.buf[b.Off : b.Off+int(h.n) : b.Off+int(h.n)]
		if b.Stride = said.stride; b.Stride <= 0 || b.Stride > len(b.Data) {
			b.Stride = len(b.Data)
		}
		b.Remote = wire.NewEndpoint(r.zones.with(from, scope), said.source, said.index)
		b.ECN, b.TOS = said.tos&3, said.tos&^3
		n++
	}
	return n
}

func (c *conn) pollError(err error) error {
	if c.closed.Load() {
		return os.ErrClosed
	}
	return err
}

func (c *conn) Caps() Caps {
	caps := c.caps
	caps.GSO = c.gso.Load()
	return caps
}

func (c *conn) SetMark(mark uint32) error {
	if c.mark.Load() == mark {
		return nil // so that 0 needs no privilege
	}
	c.Forget() // another mark is another route
	err := os.ErrClosed
	if poll := c.raw.Control(func(fd uintptr) { err = setMark(int(fd), mark) }); poll != nil {
		return c.pollError(poll)
	}
	if err == nil {
		c.mark.Store(mark)
	}
	return err
}

func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.file.Close()
}

// port is the one the socket is bound to.
func (c *conn) port() (port uint16, err error) {
	poll := c.raw.Control(func(fd uintptr) {
		var local unix.Sockaddr
		switch local, err = unix.Getsockname(int(fd)); a := local.(type) {
		case *unix.SockaddrInet4:
			port = uint16(a.Port)
		case *unix.SockaddrInet6:
			port = uint16(a.Port)
		}
	})
	return port, errors.Join(poll, err)
}
