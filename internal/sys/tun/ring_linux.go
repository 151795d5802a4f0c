package tun

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A ring writes several frames with one system call (io_uring(7)). Each frame is a
// write of its own: the kernel has no call that writes several packets to an interface.
//
// The kernel processes all writes of a call before the call returns, in their order.
// None waits, so nothing is under way when writeAll returns.
type ring struct {
	fd                     int
	sq, cq, entries        []byte // memory that the kernel shares
	sqHead, sqTail, cqHead *uint32
	cqTail                 *uint32
	submissions            []submission
	completions            []completion
}

const (
	// ringSize is how many frames one call writes, a power of two.
	ringSize = 64
	// ringWorthwhile is the number of frames from which a ring costs less than as
	// many calls of write(2).
	ringWorthwhile = 4
)

// A submission is struct io_uring_sqe, and a completion is struct io_uring_cqe.
type submission struct {
	opcode  byte
	_       [3]byte
	fd      int32
	offset  uint64
	address uint64
	length  uint32
	flags   uint32 // as of pwritev2(2)
	user    uint64
	_       [3]uint64
}

type completion struct {
	user   uint64
	result int32
	_      uint32
}

// ringParams is struct io_uring_params.
type ringParams struct {
	submissions, completions uint32
	_                        [8]uint32

	sq struct {
		head, tail uint32
		_          [4]uint32
		array      uint32
		_          [3]uint32
	}
	cq struct {
		head, tail  uint32
		_           [3]uint32
		completions uint32
		_           [4]uint32
	}
}

// The parts of the interface of io_uring that a ring uses (linux/io_uring.h).
const (
	opWrite          = 23
	doNotWait        = 8 // RWF_NOWAIT: O_NONBLOCK alone does not keep io_uring from waiting
	enterGetEvents   = 1
	offsetSQ         = 0
	offsetCQ         = 0x8000000
	offsetEntries    = 0x10000000
	positionOfStream = ^uint64(0)
)

// newRing returns an error if the kernel has no io_uring, or forbids it.
func newRing() (*ring, error) {
	var p ringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, ringSize, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, errno
	}
	r := &ring{fd: int(fd)}
	var err error
	share := func(offset int64, size uint32) (b []byte) {
		if err == nil {
			b, err = unix.Mmap(r.fd, offset, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		}
		return b
	}
	r.sq = share(offsetSQ, p.sq.array+4*p.submissions)
	r.cq = share(offsetCQ, p.cq.completions+p.completions*uint32(unsafe.Sizeof(completion{})))
	r.entries = share(offsetEntries, p.submissions*uint32(unsafe.Sizeof(submission{})))
	if err != nil {
		r.close()
		return nil, err
	}
	word := func(b []byte, at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b[at])) }
	r.sqHead, r.sqTail = word(r.sq, p.sq.head), word(r.sq, p.sq.tail)
	r.cqHead, r.cqTail = word(r.cq, p.cq.head), word(r.cq, p.cq.tail)
	r.submissions = unsafe.Slice((*submission)(unsafe.Pointer(&r.entries[0])), p.submissions)
	r.completions = unsafe.Slice((*completion)(unsafe.Pointer(&r.cq[p.cq.completions])), p.completions)
	order := unsafe.Slice(word(r.sq, p.sq.array), p.submissions)
	for i := range order {
		order[i] = uint32(i)
	}
	return r, nil
}

func (r *ring) close() {
	for _, b := range [][]byte{r.sq, r.cq, r.entries} {
		if b != nil {
			unix.Munmap(b)
		}
	}
	unix.Close(r.fd)
}

// slot returns the index of a position, which counts all entries since the beginning
// modulo 2^32. The number of slots is a power of two.
func slot(position uint32, slots int) uint32 { return position % uint32(slots) }

// writeAll writes up to ringSize frames, none of them empty, and puts the error of each
// into errnos: EAGAIN if there is no room.
func (r *ring) writeAll(fd uintptr, frames [][]byte, errnos []syscall.Errno) {
	tail := *r.sqTail
	for i, frame := range frames {
		r.submissions[slot(tail+uint32(i), len(r.submissions))] = submission{
			opcode: opWrite, fd: int32(fd), offset: positionOfStream, flags: doNotWait,
			address: uint64(uintptr(unsafe.Pointer(&frame[0]))), length: uint32(len(frame)), user: uint64(i),
		}
	}
	atomic.StoreUint32(r.sqTail, tail+uint32(len(frames)))
	taken, errno := r.submit(len(frames))
	for i := taken; i < len(frames); i++ {
		errnos[i] = errno
	}
	r.collect(taken, errnos)
	runtime.KeepAlive(frames)
}

// submit lets the kernel take n writes. It returns how many it has taken, and why not
// all.
func (r *ring) submit(n int) (taken int, errno syscall.Errno) {
	for taken < n {
		rest := uintptr(n - taken)
		m, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), rest, 0, 0, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == 0 && m > 0:
			taken += int(m)
			continue
		case errno == 0:
			errno = unix.EAGAIN
		}
		atomic.StoreUint32(r.sqTail, atomic.LoadUint32(r.sqHead)) // take the rest back
		return taken, errno
	}
	return taken, 0
}

// collect waits until n writes are done, and puts their errors into errnos.
func (r *ring) collect(n int, errnos []syscall.Errno) {
	for head := *r.cqHead; n > 0; {
		for ; n > 0 && head != atomic.LoadUint32(r.cqTail); n-- {
			c := r.completions[slot(head, len(r.completions))]
			errnos[c.user] = syscall.Errno(-min(c.result, 0))
			head++
			atomic.StoreUint32(r.cqHead, head)
		}
		if n > 0 { // the kernel may finish one later after all
			unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 0, uintptr(n), enterGetEvents, 0, 0)
		}
	}
}

// rings are those of one interface, as many as there are goroutines that write at the
// same time.
type rings struct {
	mu     sync.Mutex
	free   []*ring
	open   int
	refuse bool // there are to be no more
}

// maxRings is the most rings of an interface. They occupy some 20 KB of memory each.
const maxRings = 16

// take returns a ring for one call, or nil.
func (r *rings) take() *ring {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.free); n > 0 {
		one := r.free[n-1]
		r.free = r.free[:n-1]
		return one
	}
	if r.refuse || r.open == maxRings {
		return nil
	}
	one, err := newRing()
	if err != nil {
		r.refuse = r.open == 0 // others may work on: only one more could not be had
		return nil
	}
	r.open++
	return one
}

// put takes a ring back.
func (r *rings) put(one *ring) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse {
		one.close()
		return
	}
	r.free = append(r.free, one)
}

// end closes all rings, and those that are in use when they are put back. There are no
// more from then on.
func (r *rings) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = true
	for _, one := range r.free {
		one.close()
	}
	r.free = nil
}
