package process

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Caller returns the process that has connected to a unix socket, its user, and the
// name of its program as the kernel has it: at most 15 bytes, without arguments. pid is
// 0 if the process is not known, as in another PID namespace.
func Caller(conn *net.UnixConn) (pid int, uid uint32, command string) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, 0, ""
	}
	var peer *unix.Ucred
	raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || peer == nil {
		return 0, 0, ""
	}
	if peer.Pid > 0 {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", peer.Pid))
		command = strings.TrimSuffix(string(name), "\n")
	}
	return int(peer.Pid), peer.Uid, command
}
