package yield

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// New makes a Place.
func New() Place {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return gosched{}
	}
	p := &yielder{file: os.NewFile(uintptr(fd), "yield")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return gosched{}
	}
	p.onPoll = p.poll
	return p
}

// A yielder is an eventfd on Go's poller. Each write to it is a new event for the
// poller. A goroutine that waits for that event runs after those whose events came
// before it.
type yielder struct {
	file    *os.File
	raw     syscall.RawConn
	onPoll  func(uintptr) bool
	written bool
	count   [8]byte
}

func (p *yielder) Yield() {
	p.written = false
	p.raw.Read(p.onPoll)
}

// poll first writes to the eventfd, and is called again when it is readable.
func (p *yielder) poll(fd uintptr) (done bool) {
	if p.written {
		unix.Read(int(fd), p.count[:])
		return true
	}
	p.written = true
	p.count = [8]byte{1}
	_, err := unix.Write(int(fd), p.count[:])
	return err != nil
}

func (p *yielder) Close() { p.file.Close() }

// gosched is used where there is no eventfd.
type gosched struct{}

func (gosched) Yield() { runtime.Gosched() }
func (gosched) Close() {}
