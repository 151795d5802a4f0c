package tun

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A configuration is that of an interface for several queues.
type configuration struct {
	queues int  // the number of open queues, attached or not
	owned  bool // whether it belongs to a user or a group
}

// inspect returns the configuration of an interface in the thread's network
// namespace. The error is errNoQueues if the interface is not for several queues, or
// not a TUN interface.
func inspect(name string) (configuration, error) {
	sock, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return configuration{}, err
	}
	defer unix.Close(sock)
	index, err := interfaceIoctl(unix.SIOCGIFINDEX, name)
	if err != nil {
		return configuration{}, err
	}
	if err := unix.Sendto(sock, getLink(index), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return configuration{}, err
	}
	answer := make([]byte, 64<<10)
	n, _, err := unix.Recvfrom(sock, answer, 0)
	if err != nil {
		return configuration{}, err
	}
	return parseConfiguration(answer[:n])
}

// getLink returns the request RTM_GETLINK for one interface.
func getLink(index int) []byte {
	const size = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b, size)
	binary.NativeEndian.PutUint16(b[4:], unix.RTM_GETLINK)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(b[unix.SizeofNlMsghdr+int(unsafe.Offsetof(unix.IfInfomsg{}.Index)):], uint32(index))
	return b
}

// The attributes of a TUN interface (enum of linux/if_link.h).
const (
	tunOwner          = 1 // IFLA_TUN_OWNER, absent if there is no owner
	tunGroup          = 2 // IFLA_TUN_GROUP
	tunQueues         = 8 // IFLA_TUN_NUM_QUEUES
	tunDisabledQueues = 9 // IFLA_TUN_NUM_DISABLED_QUEUES
)

// parseConfiguration reads the configuration from an RTM_NEWLINK message.
func parseConfiguration(answer []byte) (c configuration, err error) {
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil || len(messages) == 0 || messages[0].Header.Type != unix.RTM_NEWLINK ||
		len(messages[0].Data) < unix.SizeofIfInfomsg {
		return configuration{}, errNoQueues
	}
	info := attribute(messages[0].Data[unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO)
	data := attribute(info, unix.IFLA_INFO_DATA)
	for _, kind := range []uint16{tunQueues, tunDisabledQueues} {
		value := attribute(data, kind)
		if len(value) < 4 {
			return configuration{}, errNoQueues
		}
		c.queues += int(binary.NativeEndian.Uint32(value))
	}
	c.owned = attribute(data, tunOwner) != nil || attribute(data, tunGroup) != nil
	return c, nil
}

// attribute finds an attribute in a list, and returns nil if it is not there. An
// attribute with an invalid length ends the list.
func attribute(list []byte, kind uint16) []byte {
	for len(list) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(list))
		if length < unix.SizeofRtAttr || length > len(list) {
			return nil
		}
		if binary.NativeEndian.Uint16(list[2:])&^unix.NLA_F_NESTED == kind {
			return list[unix.SizeofRtAttr:length]
		}
		list = list[min((length+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1), len(list)):]
	}
	return nil
}
