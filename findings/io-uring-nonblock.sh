#!/bin/sh
# A read by io_uring waits for data although the descriptor is non-blocking.
#
# Guess:  a read of a non-blocking descriptor that finds nothing ends with EAGAIN, as
#         with read(2). So a program can submit many reads, and knows by the first
#         EAGAIN that there is nothing more.
# Truth:  the kernel waits for data in spite of O_NONBLOCK, of a pipe, a socket, an
#         eventfd, a TUN interface and a terminal. A program that reads until EAGAIN
#         waits for ever, and its buffer stays in use. RWF_NOWAIT in the submission
#         ends the read with EAGAIN, but a terminal does not support it.
# Seen:   Linux 6.18.44, Go 1.26.8, 2026-11-30
# Source: Linux, io_uring: io_file_get_flags sets REQ_F_SUPPORT_NOWAIT for every file
#         with O_NONBLOCK, and io_rw_init_file then does not set REQ_F_NOWAIT
# Needs:  root, go
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, for a TUN interface"
[ -c /dev/net/tun ] || not_tried "there is no /dev/net/tun"
for program in unshare go; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/ring.go" <<'GO'
package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	setup, enter   = 425, 426 // system calls
	opRead         = 22
	setIff         = 0x400454ca
	tunMode, noPI  = 1, 0x1000
	doNotWait      = 8 // RWF_NOWAIT
	nonBlock       = syscall.O_NONBLOCK | syscall.O_CLOEXEC
	eventfdCreate  = syscall.SYS_EVENTFD2
	waitForAnswers = 300 * time.Millisecond
)

type params struct {
	entries, answers uint32
	_                [8]uint32
	sq               struct{ head, tail, mask, entries, flags, dropped, array, _, _, _ uint32 }
	cq               struct{ head, tail, mask, entries, overflow, cqes, flags, _, _, _ uint32 }
}

type submission struct {
	opcode, flags byte
	_             uint16
	fd            int32
	offset        uint64
	address       uint64
	length        uint32
	rwFlags       uint32
	user          uint64
	_             [3]uint64
}

// read submits one read of an empty file, and says what became of it.
func read(fd int, flags uint32) string {
	var p params
	r, _, errno := syscall.Syscall(setup, 4, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		fmt.Fprintln(os.Stderr, "NOT TRIED: io_uring_setup:", errno)
		os.Exit(77)
	}
	ring := int(r)
	defer syscall.Close(ring)
	share := func(offset int64, size int) []byte {
		b, err := syscall.Mmap(ring, offset, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
		if err != nil {
			panic(err)
		}
		return b
	}
	sq, cq, entries := share(0, 4096), share(0x8000000, 4096), share(0x10000000, 4096)
	buf := make([]byte, 64)
	*(*submission)(unsafe.Pointer(&entries[0])) = submission{opcode: opRead, fd: int32(fd), offset: ^uint64(0),
		address: uint64(uintptr(unsafe.Pointer(&buf[0]))), length: uint32(len(buf)), rwFlags: flags}
	*(*uint32)(unsafe.Pointer(&sq[p.sq.array])) = 0
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&sq[p.sq.tail])), 1)
	if _, _, errno := syscall.Syscall6(enter, r, 1, 0, 0, 0, 0); errno != 0 {
		panic(errno)
	}
	time.Sleep(waitForAnswers)
	if atomic.LoadUint32((*uint32)(unsafe.Pointer(&cq[p.cq.tail]))) == 0 {
		return "waits"
	}
	result := *(*int32)(unsafe.Pointer(&cq[p.cq.cqes+8]))
	if result < 0 {
		return syscall.Errno(-result).Error()
	}
	return fmt.Sprintf("%d bytes", result)
}

func main() {
	var pipe [2]int
	try(syscall.Pipe2(pipe[:], nonBlock))
	sockets, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
	try(err)
	event, _, errno := syscall.Syscall(eventfdCreate, 0, nonBlock, 0)
	if errno != 0 {
		panic(errno)
	}
	tun, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|nonBlock, 0)
	try(err)
	var request [40]byte
	copy(request[:], "tun0")
	*(*uint16)(unsafe.Pointer(&request[16])) = tunMode | noPI
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(tun), setIff, uintptr(unsafe.Pointer(&request))); errno != 0 {
		panic(errno)
	}
	terminal, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|nonBlock, 0)
	try(err)
	for _, f := range []struct {
		name string
		fd   int
	}{{"pipe", pipe[0]}, {"socket", sockets[0]}, {"eventfd", int(event)}, {"TUN", tun}, {"terminal", terminal}} {
		one := make([]byte, 64)
		_, plain := syscall.Read(f.fd, one)
		fmt.Printf("%s: read(2): %v; io_uring: %s; with RWF_NOWAIT: %s\n", f.name, plain, read(f.fd, 0), read(f.fd, doNotWait))
	}
}

func try(err error) {
	if err != nil {
		panic(err)
	}
}
GO
(cd "$folder" && GO111MODULE=off GOWORK=off go build -o ring ring.go) || not_tried "the program cannot be built"
unshare -n "$folder/ring" >"$folder/output"
cat "$folder/output"
for file in pipe socket eventfd TUN; do
	echo "$file: read(2): resource temporarily unavailable; io_uring: waits; with RWF_NOWAIT: resource temporarily unavailable"
done >"$folder/expected"
echo "terminal: read(2): resource temporarily unavailable; io_uring: waits; with RWF_NOWAIT: operation not supported" >>"$folder/expected"
if ! cmp -s "$folder/expected" "$folder/output"; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
