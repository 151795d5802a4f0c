package tun

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxPieces is the most that one writev takes (UIO_MAXIOV).
const maxPieces = 1024

var nativeBig = *(*byte)(unsafe.Pointer(&[]uint16{1}[0])) == 0

// device is a TUN descriptor on Go's poller. A call is one raw system call
// that never sleeps, made by a callback that was allocated once; only when
// there is nothing to do the goroutine, not the thread, waits.
type device struct {
	file   *os.File
	conn   syscall.RawConn
	caps   Caps
	*joins // of the interface
	closed atomic.Bool

	reading sync.Mutex
	in      transfer
	buf     []byte
	onRead  func(fd uintptr) bool
	onTry   func(fd uintptr)
	poll    unix.PollFd
	onWait  func(fd uintptr) bool

	writing sync.Mutex
	out     transfer
	pieces  []unix.Iovec
	onWrite func(fd uintptr) bool
	writev  func(fd uintptr, pieces []unix.Iovec) syscall.Errno // tests put another one in its place
}

// transfer is how one system call went.
type transfer struct {
	wait  bool // on EAGAIN, let the poller wait and call again
	n     int
	errno syscall.Errno
}

// newDevice makes the Device of one descriptor. All those of an interface share joins.
func newDevice(fd int, caps Caps, j *joins) (*device, error) {
	d := &device{caps: caps, joins: j, writev: writev}
	d.onRead, d.onWait, d.onWrite = d.readNow, d.readable, d.writeNow
	d.onTry = func(fd uintptr) { d.readNow(fd) }
	d.file = os.NewFile(uintptr(fd), driver)
	conn, err := d.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	d.conn = conn
	return d, nil
}

func (d *device) Caps() Caps { return d.caps }

func (d *device) Read(b []byte) (int, error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	return d.read(b, true)
}

func (d *device) TryRead(b []byte) (n int, ok bool, err error) {
	if !d.reading.TryLock() {
		return 0, false, nil
	}
	defer d.reading.Unlock()
	n, err = d.read(b, false)
	if err == unix.EAGAIN {
		return 0, false, nil
	}
	return n, err == nil, err
}

// read makes up an empty header where the kernel has none.
func (d *device) read(b []byte, wait bool) (int, error) {
	if len(b) <= HeaderSize {
		return 0, errMalformed
	}
	skip := 0
	if !d.caps.VnetHdr {
		skip = HeaderSize
	}
	d.buf, d.in = b[skip:], transfer{wait: wait}
	var err error
	if wait {
		err = d.conn.Read(d.onRead)
	} else {
		err = d.conn.Control(d.onTry) // also beside Wait
	}
	d.buf = nil
	if err := d.verdict(err, d.in.errno); err != nil {
		return 0, err
	}
	clear(b[:skip])
	return skip + d.in.n, nil
}

func (d *device) readNow(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&d.buf[0])), uintptr(len(d.buf)))
		d.in.n, d.in.errno = int(n), errno
		if errno != unix.EINTR {
			return errno != unix.EAGAIN || !d.in.wait
		}
	}
}

func (d *device) Wait() error {
	if err := d.conn.Read(d.onWait); err != nil {
		return d.verdict(err, 0)
	}
	return nil
}

// readable reports whether a read would not wait.
func (d *device) readable(fd uintptr) bool {
	var atOnce unix.Timespec
	d.poll = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&d.poll)), 1, uintptr(unsafe.Pointer(&atOnce)), 0, 0, 0)
	return errno == 0 && n > 0
}

func (d *device) Write(pieces [][]byte) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	return d.joins.write(d, pieces)
}

// write is for who holds writing.
func (d *device) write(pieces [][]byte) (err error) {
	if d.pieces, err = d.gather(d.pieces[:0], pieces); err != nil {
		return err
	}
	d.out = transfer{wait: true}
	err = d.conn.Write(d.onWrite)
	clear(d.pieces) // the caller's buffers are not kept alive
	return d.verdict(err, d.out.errno)
}

// gather appends what one writev takes to list, or says why pieces are no packet.
func (d *device) gather(list []unix.Iovec, pieces [][]byte) ([]unix.Iovec, error) {
	if len(pieces) == 0 || len(pieces) > maxPieces || len(pieces[0]) < HeaderSize {
		return list, errMalformed
	}
	skip := 0
	if !d.caps.VnetHdr {
		if header := pieces[0][:HeaderSize]; header[0]|header[1] != 0 { // flags and gso_type
			return list, ErrNoOffload
		}
		skip = HeaderSize
	}
	for _, piece := range pieces {
		piece, skip = piece[skip:], 0
		if len(piece) > 0 {
			list = append(list, unix.Iovec{Base: &piece[0]})
			list[len(list)-1].SetLen(len(piece))
		}
	}
	if len(list) == 0 {
		return list, errMalformed
	}
	return list, nil
}

func (d *device) writeNow(fd uintptr) bool {
	d.out.errno = d.writev(fd, d.pieces)
	return d.out.errno != unix.EAGAIN || !d.out.wait
}

// writev is write(2) for one piece: where a filter refuses writev(2), single
// packets pass.
func writev(fd uintptr, pieces []unix.Iovec) (errno syscall.Errno) {
	for {
		if len(pieces) == 1 {
			_, _, errno = unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(pieces[0].Base)), uintptr(pieces[0].Len))
		} else {
			_, _, errno = unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&pieces[0])), uintptr(len(pieces)))
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

// writer is a Writer: it keeps the descriptor open, and no lock.
type writer struct {
	device *device
	pieces []unix.Iovec
	errno  syscall.Errno
	on     func(fd uintptr)
}

func (d *device) NewWriter() Writer {
	w := &writer{device: d}
	w.on = func(fd uintptr) { w.errno = d.writev(fd, w.pieces) }
	return w
}

func (w *writer) Write(pieces [][]byte) error { return w.device.joins.write(w, pieces) }

func (w *writer) write(pieces [][]byte) (err error) {
	if w.pieces, err = w.device.gather(w.pieces[:0], pieces); err != nil {
		return err
	}
	err = w.device.conn.Control(w.on)
	clear(w.pieces)
	if err == nil && w.errno == unix.EAGAIN {
		w.device.writing.Lock()
		defer w.device.writing.Unlock()
		return w.device.write(pieces) // which waits for room
	}
	return w.device.verdict(err, w.errno)
}

// verdict turns what the poller and the kernel said into the contract's errors.
func (d *device) verdict(poll error, errno syscall.Errno) error {
	switch {
	case poll != nil && d.closed.Load():
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
		// What a read says at the moment of deletion; a truly bad buffer stays EFAULT.
		if _, err := d.identify(); err == ErrGone {
			return ErrGone
		}
	}
	return errno
}

func (d *device) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	return d.file.Close()
}
