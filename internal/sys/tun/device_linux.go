package tun

import (
	"errors"
	"unsafe"

	"wgd/internal/packet"

	"golang.org/x/sys/unix"
)

// device is an interface of the kernel.
type device struct {
	caps   Caps
	supers *superPackets
	// queues has the first one, to which packets always come, and the descriptors
	// of all others. These are opened with the interface, while no packet comes yet,
	// and wait detached: to attach and detach them needs no privilege, no name, and
	// not the namespace where the interface is by then.
	queues   []*queue
	attached int // queues to which packets come
	// write is the queue through which everything is written. Of an interface with
	// several queues it is one to which no packet ever comes: the kernel sends a flow
	// to the queue through which the other direction of it was written last, so
	// writes through those that are read would move flows in the middle of their
	// packets. From a detached one the kernel learns nothing.
	write *queue
}

var (
	errNoQueues   = errors.New("this kernel has no interfaces with several queues")
	errNotAlone   = errors.New("somebody else has opened the new interface")
	errQueueCount = errors.New("no such number of queues")

	errSingleQueue = errors.New("the interface was there already, and was not made for several queues")
)

// newDevice makes the device of a descriptor that is attached.
func newDevice(fd int, caps Caps) (*device, error) {
	first, err := newQueue(fd, caps.VnetHdr)
	if err != nil {
		return nil, err
	}
	caps.Queues = 1
	return &device{caps: caps, supers: newSuperPackets(caps), queues: []*queue{first}, attached: 1, write: first}, nil
}

// createMulti makes a new interface that can have o.Queues queues.
func createMulti(name string, o Options) (*device, error) {
	d, err := openMulti(name, o, unix.IFF_TUN_EXCL)
	if err != nil {
		d.discard(name, err)
		return nil, err
	}
	return d, nil
}

// joinMulti opens an existing interface that can have o.Queues queues.
func joinMulti(name string, o Options) (*device, error) {
	o.Queues = max(o.Queues, 1)
	d, err := openMulti(name, o, 0)
	if err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// openMulti opens an interface for several queues, new or not. With an error, the
// caller closes the device that it returns.
func openMulti(name string, o Options, flags uint16) (*device, error) {
	d, err := open(name, o, flags|unix.IFF_MULTI_QUEUE)
	if err != nil {
		return nil, err
	}
	return d, d.openRest(name, o)
}

// discard closes a new interface that could not be completed. If somebody else has
// opened it, it would stay and belong to him, so it is deleted. The one with a
// single queue that takes its place cannot be opened twice.
func (d *device) discard(name string, why error) {
	if errors.Is(why, errNotAlone) {
		remove(name)
	}
	d.Close()
}

// remove deletes an interface (RTM_DELLINK, rtnetlink(7)).
func remove(name string) error {
	index, err := interfaceIoctl(unix.SIOCGIFINDEX, name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	message := struct {
		header unix.NlMsghdr
		link   unix.IfInfomsg
	}{
		unix.NlMsghdr{Type: unix.RTM_DELLINK, Flags: unix.NLM_F_REQUEST},
		unix.IfInfomsg{Index: int32(index)},
	}
	message.header.Len = uint32(unsafe.Sizeof(message))
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&message)), unsafe.Sizeof(message))
	return unix.Sendto(fd, raw, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// complete opens the other descriptors, after it has shut out everybody else.
func (d *device) openRest(name string, o Options) error {
	if err := d.queues[0].control(func(fd int) error { return claim(fd, name) }); err != nil {
		return err
	}
	for len(d.queues) < o.Queues {
		q, err := d.detached(name)
		if err != nil {
			return err
		}
		d.queues = append(d.queues, q)
	}
	q, err := d.detached(name)
	if err != nil {
		return err
	}
	d.write, d.caps.Queues = q, len(d.queues)
	return nil
}

// claim keeps everybody else from opening the interface. One with several queues
// can be opened by anybody who can open the driver, which mostly means all users of
// the machine, unless it has an owner: then only the owner may, and CAP_NET_ADMIN.
// So claim sets an owner that no user has, and checks that nobody opened the
// interface before that. An interface that existed may have an owner, and keeps it.
func claim(fd int, name string) error {
	is, err := inspect(name)
	if err != nil {
		return err
	}
	if !is.owned {
		const nobody = -2 // 4294967294; -1 is no owner
		err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, nobody)
		if errors.Is(err, unix.EINVAL) { // in a user namespace, which has few users
			err = unix.IoctlSetInt(fd, unix.TUNSETOWNER, unix.Geteuid())
		}
		if err != nil {
			return err
		}
		if is, err = inspect(name); err != nil {
			return err
		}
	}
	if is.queues != 1 {
		return errNotAlone
	}
	return nil
}

// detached makes one more descriptor of the interface.
func (d *device) detached(name string) (*queue, error) {
	fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	o := Options{NoVnetHdr: !d.caps.VnetHdr}
	_, err = attach(fd, name, o, unix.IFF_MULTI_QUEUE)
	if err == nil {
		err = setQueue(fd, unix.IFF_DETACH_QUEUE)
	}
	var q *queue
	if err == nil {
		q, err = newQueue(fd, d.caps.VnetHdr)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return q, nil
}

func setQueue(fd int, flag uint16) error {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	ifr.SetUint16(flag)
	return unix.IoctlIfreq(fd, unix.TUNSETQUEUE, ifr)
}

func (d *device) Queue(i int) Queue { return d.queues[i] }

func (d *device) SetQueues(n int) error {
	switch {
	case n < 1 || n > len(d.queues):
		return errQueueCount
	case len(d.queues) == 1:
		return nil
	}
	for d.attached < n {
		if err := d.queues[d.attached].set(unix.IFF_ATTACH_QUEUE); err != nil {
			return err
		}
		d.attached++
	}
	for d.attached > n { // the last first: the kernel puts the last in the place of one that goes
		if err := d.queues[d.attached-1].set(unix.IFF_DETACH_QUEUE); err != nil {
			return err
		}
		d.attached--
	}
	return d.steer(-1)
}

func (q *queue) set(flag uint16) error {
	return q.control(func(fd int) error { return setQueue(fd, flag) })
}

func (d *device) SteerToFirst() bool {
	if len(d.queues) == 1 {
		return true
	}
	program, err := loadToFirst()
	if err != nil {
		return false
	}
	defer unix.Close(program)
	if d.steer(program) != nil {
		return false
	}
	// A packet whose queue was chosen before may still be on its way. The kernel
	// detaches a queue only after everything that was being sent has arrived. So
	// one is attached and detached that it chooses for no packet.
	if d.write.set(unix.IFF_ATTACH_QUEUE) == nil {
		d.write.set(unix.IFF_DETACH_QUEUE)
	}
	return true
}

func (d *device) QueueLength() int {
	const usual = 500
	if n, err := d.query(unix.SIOCGIFTXQLEN); err == nil {
		return n
	}
	return usual
}

// steer gives the choice of queues to a program; -1 is the kernel's own.
func (d *device) steer(program int) error {
	return d.queues[0].control(func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TUNSETSTEERINGEBPF, program) })
}

func (d *device) NewWriter() Writer { return newWriter(d.write, d.supers) }

func (d *device) Offloads() packet.Offloads { return d.supers.offloads() }

func (d *device) Unjoined() uint64 { return d.supers.unjoined.Load() }

func (d *device) Caps() Caps { return d.caps }

func (d *device) Close() error {
	if d == nil {
		return nil
	}
	var errs []error
	for _, q := range append(d.queues[:len(d.queues):len(d.queues)], d.write) { // d.write may be one of them
		errs = append(errs, q.close())
	}
	return errors.Join(errs...)
}
