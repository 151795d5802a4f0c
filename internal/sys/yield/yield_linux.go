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
		return simple{}
	}
	p := &place{file: os.NewFile(uintptr(fd), "yield")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return simple{}
	}
	p.turn = p.once
	return p
}

// place is an eventfd on Go's poller. To write to it makes it readable, which is
// news to the poller each time; who waits for that news is behind all others for
// whom there is some.
type place struct {
	file  *os.File
	raw   syscall.RawConn
	turn  func(uintptr) bool
	asked bool
	count [8]byte
}

func (p *place) Yield() {
	p.asked = false
	p.raw.Read(p.turn)
}

func (p *place) once(fd uintptr) (done bool) {
	if p.asked {
		unix.Read(int(fd), p.count[:])
		return true
	}
	p.asked = true
	p.count = [8]byte{1}
	_, err := unix.Write(int(fd), p.count[:])
	return err != nil
}

func (p *place) Close() { p.file.Close() }

// simple is for where there is no eventfd.
type simple struct{}

func (simple) Yield() { runtime.Gosched() }
func (simple) Close() {}
