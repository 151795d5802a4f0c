package tun

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var nativeBig = *(*byte)(unsafe.Pointer(&[]uint16{1}[0])) == 0

// A queue is a TUN descriptor on Go's poller. A read or write is one raw system call
// that never blocks, in a callback that was allocated once. Only if it has to wait
// does the goroutine block, and never its thread.
type queue struct {
	file    *os.File
	conn    syscall.RawConn
	vnetHdr bool
	closed  atomic.Bool

	reading sync.Mutex
	in      transfer
	buf     []byte
	onRead  func(fd uintptr) bool
	onTry   func(fd uintptr)

	poll   unix.PollFd // for Wait
	onWait func(fd uintptr) bool

	writing sync.Mutex // for writers that wait for room
	out     syscall.Errno
	pieces  []unix.Iovec
	onWrite func(fd uintptr) bool
	writev  func(fd uintptr, pieces []unix.Iovec) syscall.Errno // tests replace it
	rings   rings
}

// A transfer is the result of one read.
type transfer struct {
	wait  bool // on EAGAIN, wait on the poller and try again
	n     int
	errno syscall.Errno
}

// newQueue returns the queue of a descriptor that is attached and non-blocking.
func newQueue(fd int, vnetHdr bool) (*queue, error) {
	q := &queue{vnetHdr: vnetHdr, writev: writev}
	q.onRead, q.onWait, q.onWrite = q.readNow, q.readable, q.writeNow
	q.onTry = func(fd uintptr) { q.readNow(fd) }
	q.file = os.NewFile(uintptr(fd), driver)
	conn, err := q.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	q.conn = conn
	return q, nil
}

func (q *queue) Read(b []byte) (int, error) {
	q.reading.Lock()
	defer q.reading.Unlock()
	return q.read(b, true)
}

func (q *queue) TryRead(b []byte) (n int, ok bool, err error) {
	if !q.reading.TryLock() {
		return 0, false, nil
	}
	defer q.reading.Unlock()
	n, err = q.read(b, false)
	if err == unix.EAGAIN {
		return 0, false, nil
	}
	return n, err == nil, err
}

// read puts an empty header before the packet if the kernel does not use headers.
func (q *queue) read(b []byte, wait bool) (int, error) {
	if len(b) <= HeaderSize {
		return 0, errMalformed
	}
	skip := 0
	if !q.vnetHdr {
		skip = HeaderSize
	}
	q.buf, q.in = b[skip:], transfer{wait: wait}
	var err error
	if wait {
		err = q.conn.Read(q.onRead)
	} else {
		err = q.conn.Control(q.onTry) // unlike conn.Read, this does not wait for Wait
	}
	q.buf = nil
	if err := q.translate(err, q.in.errno); err != nil {
		return 0, err
	}
	clear(b[:skip])
	return skip + q.in.n, nil
}

func (q *queue) readNow(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&q.buf[0])), uintptr(len(q.buf)))
		q.in.n, q.in.errno = int(n), errno
		if errno != unix.EINTR {
			return errno != unix.EAGAIN || !q.in.wait
		}
	}
}

func (q *queue) Wait() error {
	if err := q.conn.Read(q.onWait); err != nil {
		return q.translate(err, 0)
	}
	return nil
}

// readable reports whether a read would not wait.
func (q *queue) readable(fd uintptr) bool {
	var atOnce unix.Timespec
	q.poll = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&q.poll)), 1, uintptr(unsafe.Pointer(&atOnce)), 0, 0, 0)
	return errno == 0 && n > 0
}

// writeWaiting waits for room and writes.
func (q *queue) writeWaiting(pieces []unix.Iovec) (errno syscall.Errno, poll error) {
	q.writing.Lock()
	defer q.writing.Unlock()
	q.pieces = pieces
	poll = q.conn.Write(q.onWrite)
	q.pieces = nil
	return q.out, poll
}

func (q *queue) writeNow(fd uintptr) bool {
	q.out = q.writev(fd, q.pieces)
	return q.out != unix.EAGAIN
}

// translate turns errors of the poller and of the kernel into those of the contract.
func (q *queue) translate(poll error, errno syscall.Errno) error {
	switch {
	case poll != nil && q.closed.Load():
		return os.ErrClosed
	case poll != nil:
		return poll
	case errno == 0:
		return nil
	case errno == unix.EIO:
		return ErrDown
	case errno == unix.EBADFD:
		return ErrGone
	case errno == unix.EFAULT:
		// A read during the deletion returns this; for a bad buffer it stays EFAULT.
		if _, err := q.identify(); err == ErrGone {
			return ErrGone
		}
	}
	return errno
}

func (q *queue) close() error {
	if q.closed.Swap(true) {
		return nil
	}
	err := q.file.Close() // waits for calls in progress, which use rings
	q.rings.end()
	return err
}
