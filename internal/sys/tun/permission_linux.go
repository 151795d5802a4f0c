package tun

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Permitted returns nil if this process can create an interface. Otherwise it returns the
// error with which Create would refuse to create the interface name. To find out, it
// creates an interface of another name, and removes it.
func Permitted(name string) error {
	fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return explainOpen(err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("wgd%d") // the kernel chooses the number
	if err != nil {
		return err
	}
	const flags = unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_TUN_EXCL
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return explainAttach(name, err, flags)
	}
	return nil
}

// whyNoAccess says why the driver cannot be opened, and what to do: EACCES.
func whyNoAccess() string {
	info, err := os.Stat(driver)
	if err != nil {
		return err.Error() + ": run as root or with CAP_NET_ADMIN"
	}
	if unix.Access(driver, unix.R_OK|unix.W_OK) == nil {
		// Permissions are not what is missing, so the file system forbids devices.
		return "its file system is mounted with the option nodev, as all are that are mounted in a user namespace: bind the host's " + driver + " there; an interface needs CAP_NET_ADMIN as well"
	}
	mode := info.Mode() & fs.ModePerm
	return fmt.Sprintf("only its owner can (mode %04o): run as root, or have root change its mode to 0666, which is the usual one; an interface needs CAP_NET_ADMIN as well", mode)
}

// whyNoInterface says why the driver refuses to create an interface, and what to do.
// capable reports whether this process has CAP_NET_ADMIN in its user namespace.
func whyNoInterface(capable bool) string {
	if capable {
		return "CAP_NET_ADMIN is not enough here: the network namespace belongs to another user namespace, or a sandbox forbids it: " +
			"give the user namespace a network namespace (unshare -Ur --net), or ask whoever runs the sandbox"
	}
	return "CAP_NET_ADMIN is missing: run as root or with this capability"
}

// netAdmin reports whether this process has CAP_NET_ADMIN in its user namespace.
func netAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}
