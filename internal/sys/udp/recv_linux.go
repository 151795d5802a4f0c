package udp

import (
	"errors"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
	"wgd/internal/sys/pages"
	"wgd/internal/wire"
)

// receiver is a Receiver of one socket.
type receiver struct {
	conn   *conn
	onRecv func(uintptr) bool
	onTry  func(uintptr)

	mu    sync.Mutex
	wait  bool   // on EAGAIN, let the poller wait and call again
	buf   []byte // the data of all slots: the trains of one read share it
	slots []slot
	hdrs  []mmsghdr
	zones zones
	depth int // trains requested
	count int // messages received
	spent int // messages to prepare again
	errno syscall.Errno
}

// slot receives one train. Its part of buf occupies no memory before it is used. The
// parts of all slots may share a huge page.
type slot struct {
	iov     unix.Iovec
	name    sockaddr
	control [controlRoom]byte
}

const (
	slotSize    = 65536 // the longest UDP payload and one byte
	controlRoom = 128

	// slotStride is the distance between slots. Packets of several slots are decrypted
	// together. If the distance were a power of two, equal offsets in them would
	// compete for the same few lines of the processor's caches.
	slotStride = slotSize + 25*64
)

// maxSoft is how many soft errors in a row Recv ignores.
const maxSoft = 100

func newReceiver(c *conn) *receiver {
	r := &receiver{conn: c}
	r.onRecv = r.recvNow
	r.onTry = func(fd uintptr) { r.recvNow(fd) }
	return r
}

func (r *receiver) Recv(bs []batch.Batch) (int, error) { return r.receive(bs, true) }

func (r *receiver) TryRecv(bs []batch.Batch) (int, error) { return r.receive(bs, false) }

func (r *receiver) receive(bs []batch.Batch, wait bool) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait = wait
	depth := min(len(bs), MaxDepth)
	if depth == 0 {
		return 0, errors.New("Recv needs at least one batch")
	}
	for soft := 0; ; soft++ {
		r.prepare(depth)
		if err := r.call(); err != nil {
			return 0, r.conn.pollError(err)
		}
		if r.spent = r.count; r.errno != 0 {
			r.spent = depth
		}
		if r.errno == unix.EAGAIN && !wait {
			return 0, nil
		}
		if errno := r.errno; errno != 0 && (soft == maxSoft || !isSoft(errno)) {
			return 0, errno
		}
		if n := r.deliver(bs); n > 0 {
			return n, nil
		}
	}
}

func (r *receiver) call() error {
	if r.wait {
		return r.conn.socket.read(r.onRecv)
	}
	return r.conn.socket.try(r.onTry)
}

// isSoft reports whether the error is temporary: an ICMP error about a datagram sent
// earlier, or lack of memory. Receiving the error has cleared it.
func isSoft(errno syscall.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.ECONNRESET, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN,
		unix.ENOPROTOOPT, unix.EPROTO, unix.EMSGSIZE, unix.EACCES, unix.EPERM, unix.ENONET, unix.EOPNOTSUPP,
		unix.ENOBUFS, unix.ENOMEM, unix.EINTR:
		return true
	}
	return false
}

// prepare prepares the first depth messages. Only those that the kernel has filled are
// prepared again, because it has overwritten their lengths.
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
	if r.buf == nil {
		r.buf = pages.For(r, MaxDepth*slotStride)
	}
	r.slots = make([]slot, depth)
	r.hdrs = make([]mmsghdr, depth)
	r.spent = depth
	for i := range r.slots {
		s, h := &r.slots[i], &r.hdrs[i].hdr
		s.iov.Base = &r.buf[i*slotStride]
		s.iov.SetLen(slotSize)
		h.Name, h.Control = &s.name[0], &s.control[0]
		h.Iov = &s.iov
		h.SetIovlen(1)
	}
}

func (r *receiver) recvNow(uintptr) bool {
	fd := uintptr(r.conn.socket.fd)
	for {
		if r.depth == 1 {
			var n int
			n, r.errno = r.conn.calls.recvmsg(fd, &r.hdrs[0].hdr)
			r.hdrs[0].n, r.count = uint32(n), 1
		} else {
			r.count, r.errno = r.conn.calls.recvmmsg(fd, r.hdrs[:r.depth])
		}
		if r.errno != unix.EINTR {
			return r.errno != unix.EAGAIN || !r.wait
		}
	}
}

// deliver describes the received trains in bs, without truncated ones.
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
		info := parseControl(s.control[:min(int(h.hdr.Controllen), len(s.control))])
		b := &bs[n]
		b.Buf, b.Off = r.buf, i*slotStride
		b.Data = r.buf[b.Off : b.Off+int(h.n) : b.Off+int(h.n)]
		if b.Stride = info.stride; b.Stride <= 0 || b.Stride > len(b.Data) {
			b.Stride = len(b.Data)
		}
		b.Remote = wire.NewEndpoint(r.zones.with(from, scope), info.source, info.index)
		b.ECN, b.TOS = info.tos&3, info.tos&^3
		n++
	}
	return n
}
