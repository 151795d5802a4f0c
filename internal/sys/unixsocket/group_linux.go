package unixsocket

import (
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// noPeers is why it is not known who connects: nil, because it is.
var noPeers error

// unknownID returns the number that stands for the users, or groups, which the user
// namespace of a process does not know.
func unknownID(of string) uint32 {
	const usual = 65534
	text, err := os.ReadFile("/proc/sys/kernel/" + of)
	if err != nil {
		return usual
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return usual
	}
	return uint32(id)
}

// GroupOf returns the group that may connect to the socket at the path, if there is one.
func GroupOf(path string) (g Group, ok bool) {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&0o020 == 0 {
		return Group{}, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Group{}, false
	}
	return named(stat.Gid), true
}

// PeerOf returns who has connected. Users and groups that this user namespace does not know
// have the numbers that FindGroup refuses.
func PeerOf(conn *net.UnixConn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var p Peer
	closed := raw.Control(func(fd uintptr) {
		var credentials *unix.Ucred
		if credentials, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		p = Peer{credentials.Uid, append([]uint32{credentials.Gid}, supplementary(fd)...)}
	})
	if closed != nil {
		return Peer{}, closed
	}
	return p, err
}

// supplementary returns the groups of a process beside its primary one (SO_PEERGROUPS,
// since kernel 4.13). If the system does not tell, it has none.
func supplementary(fd uintptr) []uint32 {
	const usual = 32
	groups := make([]uint32, usual)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == unix.ERANGE && int(size) > 4*len(groups): // size is what it would take
			groups = make([]uint32, size/4)
		case errno != 0:
			return nil
		default:
			return groups[:size/4]
		}
	}
}
