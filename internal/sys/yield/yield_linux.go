package yield

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// New returns a Yielder for the calling goroutine.
func New() Yielder {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return gosched{}
	}
	y := &eventfdYielder{file: os.NewFile(uintptr(fd), "yield")}
	if y.raw, err = y.file.SyscallConn(); err != nil {
		y.file.Close()
		return gosched{}
	}
	y.onPoll = y.poll
	return y
}

// An eventfdYielder is an eventfd on Go's poller. Each write to it is a new event
// for the poller. A goroutine that waits for that event runs after those whose
// events came before it.
type eventfdYielder struct {
	file    *os.File
	raw     syscall.RawConn
	onPoll  func(uintptr) bool
	written bool
	count   [8]byte
}

func (y *eventfdYielder) Yield() {
	y.written = false
	y.raw.Read(y.onPoll)
}

// poll first writes to the eventfd, and is called again when it is readable.
func (y *eventfdYielder) poll(fd uintptr) (done bool) {
	if y.written {
		unix.Read(int(fd), y.count[:])
		return true
	}
	y.written = true
	y.count = [8]byte{1}
	_, err := unix.Write(int(fd), y.count[:])
	return err != nil
}

func (y *eventfdYielder) Close() { y.file.Close() }

// gosched is used where there is no eventfd.
type gosched struct{}

func (gosched) Yield() { runtime.Gosched() }
func (gosched) Close() {}
