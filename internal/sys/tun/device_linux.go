package tun

import (
	"errors"
	"unsafe"

	"wgd/internal/packet"

	"golang.org/x/sys/unix"
)

// A device is an interface of the kernel.
type device struct {
	caps   Caps
	supers *superPackets
	// queues has the first one, which is always attached, and all others. These are
	// opened together with the interface, before packets arrive, and then detached:
	// attaching and detaching them later needs no privilege, no name, and not the
	// namespace to which the interface may have been moved.
	queues   []*queue
	attached int // the number of queues that are attached
	// write is the queue through which everything is written. If the interface has
	// several queues, it is one that no goroutine reads: the kernel assigns a flow to
	// the queue through which its other direction was written last, so writes through
	// queues that are read would move flows while their packets wait. The kernel learns
	// nothing from writes through a detached queue.
	write *queue
}

var (
	errNoQueues   = errors.New("this kernel has no interfaces with several queues")
	errNotAlone   = errors.New("another program has opened the new interface")
	errQueueCount = errors.New("the number of queues is out of range")

	errSingleQueue = errors.New("the interface existed already, and was not created for several queues")
)

// newDevice returns the device of an attached descriptor.
func newDevice(fd int, caps Caps) (*device, error) {
	first, err := newQueue(fd, caps.VnetHdr)
	if err != nil {
		return nil, err
	}
	caps.Queues = 1
	return &device{caps: caps, supers: newSuperPackets(caps), queues: []*queue{first}, attached: 1, write: first}, nil
}

// createMulti creates an interface that can have o.Queues queues.
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

// openMulti opens an interface for several queues, new or not. The caller closes the
// device, also if there is an error.
func openMulti(name string, o Options, flags uint16) (*device, error) {
	d, err := open(name, o, flags|unix.IFF_MULTI_QUEUE)
	if err != nil {
		return nil, err
	}
	return d, d.openRest(name, o)
}

// discard closes a new interface after an error. If another program has opened it, it
// would remain and belong to that program, so it is deleted. The interface with a
// single queue that replaces it cannot be opened twice.
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

// openRest opens the other descriptors, after it has claimed the interface.
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

// claim keeps other programs from opening the interface. An interface with several
// queues can be opened by every user who can open the driver, which usually means
// all users of the machine, unless it has an owner: then only the owner can, and
// processes with CAP_NET_ADMIN. So claim sets an owner that is not a user, and checks
// that no program opened the interface before that. An interface that existed may
// have an owner, which it keeps.
func claim(fd int, name string) error {
	is, err := inspect(name)
	if err != nil {
		return err
	}
	if !is.owned {
		const nobody = -2 // 4294967294; -1 would mean no owner
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

// detached opens one more descriptor of the interface, and detaches it.
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
	for d.attached > n { // the last first: the kernel renumbers the last to replace one that is detached
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
	// A packet whose queue was selected before may still be on its way. The kernel
	// detaches a queue only after all packets in transit have arrived. So attach and
	// detach one that it selects for no packet.
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

// steer sets the program that selects the queue of each packet; -1 restores the
// kernel's own selection.
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
