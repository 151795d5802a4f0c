package tun

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns"
)

// control calls f with the descriptor, and keeps it open meanwhile.
func (q *queue) control(f func(fd int) error) error {
	err := os.ErrClosed
	if poll := q.conn.Control(func(fd uintptr) { err = f(int(fd)) }); poll != nil {
		return os.ErrClosed
	}
	if errors.Is(err, unix.EBADFD) {
		return ErrGone
	}
	return err
}

func (q *queue) identify() (ifr *unix.Ifreq, err error) {
	err = q.control(func(fd int) error {
		ifr, err = identify(fd)
		return err
	})
	return ifr, err
}

func (d *device) Name() string {
	ifr, err := d.queues[0].identify()
	if err != nil {
		return ""
	}
	return ifr.Name()
}

func (d *device) MTU() (int, error) { return d.query(unix.SIOCGIFMTU) }

// NetNS returns the namespace to which the interface was moved, if it was (A55).
func (d *device) NetNS() (*os.File, error) {
	ns := -1
	err := d.queues[0].control(func(fd int) (err error) {
		ns, err = unix.IoctlRetInt(fd, unix.TUNGETDEVNETNS)
		return err
	})
	switch {
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL): // before kernel 5.2
		return nil, fmt.Errorf("this kernel does not report the namespace of a TUN interface: %w", errors.ErrUnsupported)
	case err != nil:
		return nil, err
	}
	unix.CloseOnExec(ns)
	return os.NewFile(uintptr(ns), "netns"), nil
}

// query makes a request about the interface that returns a number, in the namespace
// where the interface is.
func (d *device) query(request uint) (value int, err error) {
	ns, err := d.NetNS()
	if errors.Is(err, os.ErrClosed) || errors.Is(err, ErrGone) {
		return 0, err
	}
	there := func() error {
		name := d.Name()
		if name == "" {
			return ErrGone
		}
		value, err = interfaceIoctl(request, name)
		return err
	}
	if err != nil { // without a handle, only this namespace can be queried
		return value, there()
	}
	defer ns.Close()
	err = netns.Do(ns, there)
	return value, err
}

// interfaceIoctl makes a request that returns a number, about an interface in the
// namespace of the thread.
func interfaceIoctl(request uint, name string) (int, error) {
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(sock)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(sock, request, ifr); err != nil {
		return 0, err
	}
	return int(int32(ifr.Uint32())), nil
}
