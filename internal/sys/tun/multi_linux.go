package tun

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// multi is an interface with several queues. The first is the device itself,
// which also stands for the interface. The descriptors of all others are opened
// with it, while no packet comes yet, and wait detached: to attach and detach
// them needs no privilege, no name, and not the namespace where the interface
// is by then.
type multi struct {
	*device
	others []*device // the queues of number 1 and up
	// outlet is a queue to which no packet ever comes. The kernel sends a flow to
	// the queue through which the other direction of it was written last; so
	// whoever writes through those that are read would move flows in the middle of
	// their packets. Through a detached one it learns nothing.
	outlet   *device
	attached int // queues to which packets come
}

var _ MultiQueue = (*multi)(nil)

var (
	errNoQueues  = errors.New("this kernel has no interfaces with several queues")
	errNotAlone  = errors.New("somebody else has opened the new interface")
	errQueueless = errors.New("no such number of queues")

	errMadeForOne = errors.New("the interface was there already, and was not made for several queues")
)

// createMulti makes an interface that can have o.Queues queues.
func createMulti(name string, o Options) (*multi, error) {
	m, err := openMulti(name, o, unix.IFF_TUN_EXCL)
	if err != nil {
		m.giveUp(name, err)
		return nil, err
	}
	return m, nil
}

// joinMulti opens an interface that there is, and that can have o.Queues queues.
func joinMulti(name string, o Options) (*multi, error) {
	o.Queues = max(o.Queues, 1)
	m, err := openMulti(name, o, 0)
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// openMulti opens one, new or not. What it returns with an error is to be closed.
func openMulti(name string, o Options, flags uint16) (*multi, error) {
	first, err := open(name, o, flags|unix.IFF_MULTI_QUEUE)
	if err != nil {
		return nil, err
	}
	m := &multi{device: first, attached: 1}
	return m, m.complete(name, o)
}

// giveUp closes what there is. A new interface that somebody else holds would stay,
// his alone, so that is deleted; one with a single queue he cannot join.
func (m *multi) giveUp(name string, why error) {
	if errors.Is(why, errNotAlone) {
		remove(name)
	}
	m.Close()
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

// complete opens the other descriptors, after it has locked out everybody else.
func (m *multi) complete(name string, o Options) error {
	if err := m.control(func(fd int) error { return seclude(fd, name) }); err != nil {
		return err
	}
	for range o.Queues {
		d, err := m.detached(name)
		if err != nil {
			return err
		}
		m.others = append(m.others, d)
	}
	last := len(m.others) - 1
	m.outlet, m.others = m.others[last], m.others[:last]
	return nil
}

// seclude keeps everybody else from the interface. One with several queues can
// be opened by whoever can open the driver, which mostly means all users of the
// machine, unless it has an owner: then it takes the owner or CAP_NET_ADMIN. The
// owner is one whom nobody is. In between somebody may have been faster. An
// interface that was there before may have an owner, and keeps him.
func seclude(fd int, name string) error {
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
func (m *multi) detached(name string) (*device, error) {
	fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	o := Options{NoVnetHdr: !m.caps.VnetHdr}
	_, err = attach(fd, name, o, unix.IFF_MULTI_QUEUE)
	if err == nil {
		err = setQueue(fd, unix.IFF_DETACH_QUEUE)
	}
	var d *device
	if err == nil {
		d, err = newDevice(fd, m.caps, m.joins)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return d, nil
}

func setQueue(fd int, flag uint16) error {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return err
	}
	ifr.SetUint16(flag)
	return unix.IoctlIfreq(fd, unix.TUNSETQUEUE, ifr)
}

func (m *multi) MostQueues() int { return 1 + len(m.others) }

func (m *multi) Queue(i int) Queue {
	if i == 0 {
		return m.device
	}
	return m.others[i-1]
}

func (m *multi) SetQueues(n int) error {
	if n < 1 || n > m.MostQueues() {
		return errQueueless
	}
	for m.attached < n {
		if err := m.turn(m.others[m.attached-1], unix.IFF_ATTACH_QUEUE); err != nil {
			return err
		}
		m.attached++
	}
	for m.attached > n { // the last first: the kernel puts the last in the place of one that goes
		if err := m.turn(m.others[m.attached-2], unix.IFF_DETACH_QUEUE); err != nil {
			return err
		}
		m.attached--
	}
	return m.steer(-1)
}

func (m *multi) turn(d *device, flag uint16) error {
	return d.control(func(fd int) error { return setQueue(fd, flag) })
}

func (m *multi) Concentrate() bool {
	program, err := loadToFirst()
	if err != nil {
		return false
	}
	defer unix.Close(program)
	if m.steer(program) != nil {
		return false
	}
	// A packet whose queue was chosen before may still be on its way. To detach a
	// queue is to wait until all that was being sent has arrived; this one is
	// chosen by nobody.
	if m.turn(m.outlet, unix.IFF_ATTACH_QUEUE) == nil {
		m.turn(m.outlet, unix.IFF_DETACH_QUEUE)
	}
	return true
}

func (m *multi) QueueLength() int {
	const usual = 500
	if n, err := m.ask(unix.SIOCGIFTXQLEN); err == nil {
		return n
	}
	return usual
}

// steer gives the choice of queues to a program; -1 is the kernel's own.
func (m *multi) steer(program int) error {
	return m.control(func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TUNSETSTEERINGEBPF, program) })
}

func (m *multi) Write(pieces [][]byte) error { return m.outlet.Write(pieces) }

func (m *multi) NewWriter() Writer { return m.outlet.NewWriter() }

func (m *multi) Close() error {
	if m == nil {
		return nil
	}
	errs := []error{m.device.Close()}
	for _, d := range m.others {
		errs = append(errs, d.Close())
	}
	if m.outlet != nil {
		errs = append(errs, m.outlet.Close())
	}
	return errors.Join(errs...)
}
