package lab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offloads are those that SetOffload knows. The keys are the names that ethtool(8)
// uses, the values the commands that set them (linux/ethtool.h).
var offloads = map[string]uint32{"tx": 0x17, "sg": 0x19, "tso": 0x1f, "gso": 0x24, "gro": 0x2c}

// An Offload is an argument of Agent.SetOffload.
type Offload struct {
	Interface, Name string
	On              bool
}

// SetOffload turns an offload of an interface on or off, as ethtool -K does.
func (h *Host) SetOffload(name, offload string, on bool) {
	h.t.Helper()
	call[Offload, Nothing](h, "SetOffload", Offload{name, offload, on})
}

func (g *Agent) SetOffload(o Offload, _ *Nothing) error {
	number, ok := offloads[o.Name]
	if !ok {
		return fmt.Errorf("there is no offload %q", o.Name)
	}
	value := struct{ command, on uint32 }{command: number}
	if o.On {
		value.on = 1
	}
	request := struct {
		name  [unix.IFNAMSIZ]byte
		value unsafe.Pointer
		_     [16]byte // of struct ifreq
	}{value: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], o.Interface)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("%s of %s: %w", o.Name, o.Interface, errno)
	}
	return nil
}
