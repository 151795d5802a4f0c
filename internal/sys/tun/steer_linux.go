package tun

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// toFirst is a BPF program that returns 0: two instructions of 8 bytes. The first byte
// of each is the opcode; all operands are 0.
var toFirst = [16]byte{
	0: 0xb7, // BPF_ALU64 | BPF_MOV | BPF_K: r0 = 0
	8: 0x95, // BPF_JMP | BPF_EXIT
}

var noLicense [1]byte // the empty string

// loadToFirst loads the program that selects queue 0 for every packet, and returns its
// descriptor. That needs CAP_BPF, unless the kernel permits it to all users.
func loadToFirst() (fd int, err error) {
	const attempts = 20
	attr := struct { // the beginning of union bpf_attr, for BPF_PROG_LOAD
		kind, count      uint32
		program, license uint64
	}{
		kind: unix.BPF_PROG_TYPE_SOCKET_FILTER, count: uint32(len(toFirst) / 8),
		program: uint64(uintptr(unsafe.Pointer(&toFirst))), license: uint64(uintptr(unsafe.Pointer(&noLicense))),
	}
	for attempt := 1; ; attempt++ {
		n, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		switch {
		case errno == 0:
			unix.CloseOnExec(int(n))
			return int(n), nil
		case errno != unix.EAGAIN || attempt == attempts: // EAGAIN: a signal arrived; Go sends many
			return -1, errno
		}
	}
}
