package tun

import (
	"errors"
	"fmt"
	"os"

	"wgd/conf"

	"golang.org/x/sys/unix"
)

const driver = "/dev/net/tun"

// Create creates an interface, down and without addresses, in the network namespace of
// the calling thread. It refuses the name of an existing interface, except that with
// Options.Existing it takes over a persistent TUN interface of that name that no
// program has open. For a name that conf.ValidInterfaceName refuses, the error is a
// conf.ErrInvalid.
func Create(name string, o Options) (Device, error) {
	if err := conf.ValidInterfaceName(name); err != nil {
		return nil, err
	}
	d, err := makeNew(name, o)
	if o.Existing && errors.Is(err, ErrNameTaken) {
		return takeOver(name, o)
	}
	return d, err
}

func makeNew(name string, o Options) (Device, error) {
	var oneQueue error
	if o.Queues > 1 {
		d, err := createMulti(name, o)
		if err == nil {
			return d, nil
		}
		oneQueue = err
	}
	d, err := open(name, o, unix.IFF_TUN_EXCL) // without this flag, an unused persistent TUN would be taken over
	if err != nil {
		return nil, err
	}
	d.caps.OneQueue = oneQueue
	return d, nil
}

// takeOver opens an existing interface, unless another program has it open. If the
// interface has a single queue, the kernel refuses a second program; if it is for
// several queues, takeOver has to check.
func takeOver(name string, o Options) (Device, error) {
	is, err := inspect(name)
	if err != nil { // the interface is not for several queues, or not a TUN interface
		d, err := open(name, o, 0)
		if err != nil {
			return nil, err
		}
		d.caps.Existed = true
		if o.Queues > 1 {
			d.caps.OneQueue = errSingleQueue
		}
		return d, nil
	}
	if is.queues > 0 {
		return nil, explainAttach(name, unix.EBUSY, 0)
	}
	d, err := joinMulti(name, o)
	switch {
	case errors.Is(err, errNotAlone):
		return nil, explainAttach(name, unix.EBUSY, 0)
	case err != nil:
		return nil, err
	}
	d.caps.Existed = true
	return d, nil
}

// open opens the driver and attaches the descriptor to the interface, with additional
// flags.
func open(name string, o Options, flags uint16) (*device, error) {
	fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, explainOpen(err)
	}
	vnet, err := attach(fd, name, o, flags)
	if err == nil {
		var d *device
		if d, err = adopt(fd, vnet, o); err == nil {
			return d, nil
		}
	}
	unix.Close(fd)
	return nil, err
}

// FromFD takes over a TUN descriptor that another program opened and configured
// (WG_TUN_FD), with or without IFF_VNET_HDR. The descriptor must have IFF_NO_PI, which
// FromFD cannot check: in TUNGETIFF that bit also means "no filter". On an error, the
// caller still owns the descriptor.
func FromFD(fd int, o Options) (Device, error) {
	fail := func(err error, why string) (Device, error) {
		return nil, &Error{Text: "not a TUN interface: " + why, Kind: ErrNotTUN, Cause: err}
	}
	ifr, err := identify(fd)
	if err != nil {
		return fail(err, err.Error())
	}
	flags := ifr.Uint16()
	if flags&unix.IFF_TAP != 0 || flags&unix.IFF_TUN == 0 {
		return fail(nil, "it is a TAP; open it with IFF_TUN")
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return fail(err, err.Error())
	}
	d, err := adopt(fd, flags&unix.IFF_VNET_HDR != 0, o)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// attach attaches fd to the interface, and creates it if it does not exist. It returns
// whether the kernel will use the virtio header.
func attach(fd int, name string, o Options, flags uint16) (vnet bool, err error) {
	features, err := unix.IoctlGetUint32(fd, unix.TUNGETFEATURES)
	vnet = err == nil && features&unix.IFF_VNET_HDR != 0 && !o.NoVnetHdr
	flags |= unix.IFF_TUN | unix.IFF_NO_PI
	if vnet {
		flags |= unix.IFF_VNET_HDR
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return false, fmt.Errorf("interface name %q: %w", name, err)
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return false, explainAttach(name, err, flags)
	}
	return vnet, nil
}

// The sets of offloads. A kernel refuses a set if it does not support all of it (USO
// needs 6.2).
const (
	offloadTSO = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	offloadUSO = offloadTSO | unix.TUN_F_USO4 | unix.TUN_F_USO6
)

// offload enables the best set of offloads that the kernel supports. An existing
// interface may still have those of an earlier program. Without the virtio header, none
// must remain: the kernel would pass on super-packets and incomplete checksums that
// nothing marks as such.
func offload(fd int, vnet bool, o Options) (Caps, error) {
	caps := Caps{VnetHdr: vnet}
	set := func(bits int) error { return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, bits) }
	switch {
	case vnet && !o.NoTSO && !o.NoUSO && set(offloadUSO) == nil:
		caps.TSO, caps.USO = true, true
	case vnet && !o.NoTSO && set(offloadTSO) == nil:
		caps.TSO = true
	case vnet && set(unix.TUN_F_CSUM) == nil:
	default:
		if err := set(0); err != nil && !vnet && err != unix.ENOTTY { // ENOTTY: the kernel has no offloads
			return caps, fmt.Errorf("the TUN driver does not disable the offloads of an earlier program: %w", err)
		}
	}
	return caps, nil
}

// adopt returns the device of a descriptor that is attached and non-blocking.
func adopt(fd int, vnet bool, o Options) (*device, error) {
	if vnet {
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, HeaderSize); err != nil {
			return nil, fmt.Errorf("the TUN driver refuses a virtio header of %d bytes: %w", HeaderSize, err)
		}
		// The header is little-endian. That is the default on little-endian
		// machines, so a refusal only matters on others.
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETLE, 1); err != nil && nativeBig {
			return nil, fmt.Errorf("the TUN driver refuses a little-endian virtio header: %w", err)
		}
	}
	caps, err := offload(fd, vnet, o)
	if err != nil {
		return nil, err
	}
	return newDevice(fd, caps)
}

// identify returns the current name and the flags (TUNGETIFF).
func identify(fd int) (*unix.Ifreq, error) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return nil, err
	}
	return ifr, unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr)
}

// NameOf returns the name of the TUN interface to which a file belongs, or "".
func NameOf(f *os.File) (name string) {
	conn, err := f.SyscallConn()
	if err != nil {
		return ""
	}
	conn.Control(func(fd uintptr) {
		if ifr, err := identify(int(fd)); err == nil {
			name = ifr.Name()
		}
	})
	return name
}

func explainOpen(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return &Error{Kind: ErrNoDriver, Cause: err, Text: "there is no " + driver +
			": load the driver with \"modprobe tun\", or give the container the device (--device " + driver + " --cap-add NET_ADMIN)"}
	case errors.Is(err, unix.EPERM):
		return &Error{Kind: ErrPermission, Cause: err, Text: "no permission to open " + driver + ": a container or a sandbox forbids the device (EPERM): " +
			"give it the device and CAP_NET_ADMIN (--device " + driver + " --cap-add NET_ADMIN)"}
	case errors.Is(err, os.ErrPermission):
		return &Error{Kind: ErrPermission, Cause: err, Text: "no permission to open " + driver + ": " + whyNoAccess()}
	}
	return fmt.Errorf("cannot open %s: %w", driver, err)
}

func explainAttach(name string, err error, flags uint16) error {
	isNew := flags&unix.IFF_TUN_EXCL != 0
	switch {
	case errors.Is(err, os.ErrPermission) && !isNew && exists(name):
		return &Error{Kind: ErrPermission, Cause: err, Text: "no permission to use the interface " + name +
			", which exists already: run as the user that it belongs to (see \"ip -d link show " + name + "\"), as root or with CAP_NET_ADMIN"}
	case errors.Is(err, unix.EBUSY) && !isNew:
		return &Error{Kind: ErrNameTaken, Cause: err, Text: "there is an interface " + name +
			" already, and another program has it open: end that program, or choose another name"}
	case errors.Is(err, os.ErrPermission):
		return &Error{Kind: ErrPermission, Cause: err, Text: "no permission to create the interface " + name + ": " + whyNoInterface(netAdmin())}
	case errors.Is(err, unix.ENOTTY):
		return &Error{Kind: ErrNoDriver, Cause: err, Text: driver + " is not the TUN driver: remove it, and create it again with " +
			"\"mknod " + driver + " c 10 200\" or \"modprobe tun\""}
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EINVAL) && exists(name):
		return &Error{Kind: ErrNameTaken, Cause: err, Text: "there is an interface " + name +
			" already: choose another name, or remove that one with \"ip link delete " + name + "\""}
	}
	return fmt.Errorf("cannot create the interface %s: %w", name, err)
}

// exists reports whether the namespace of this thread has an interface of that name.
func exists(name string) bool {
	_, err := interfaceIoctl(unix.SIOCGIFINDEX, name)
	return err == nil
}
