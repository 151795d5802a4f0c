#!/bin/sh
# Offloads of a persistent TUN interface remain after the program that enabled them, and affect one that uses none.
#
# Guess:  the offloads of TUNSETOFFLOAD belong to the descriptor, like the virtio
#         header in which the kernel marks incomplete packets: a program that
#         attaches without IFF_VNET_HDR gets ordinary packets, not longer than the
#         MTU and with correct checksums.
# Truth:  they belong to the interface, and remain when the descriptor is closed. The
#         next program, without IFF_VNET_HDR, reads super-packets of many segments
#         with incomplete checksums, and nothing marks them. TUNSETOFFLOAD with 0
#         ends that; so every program should call it, even if it uses no offloads.
# Seen:   Linux 6.18.44, iproute2 6.1.0, Go 1.26.8, 2026-11-28
# Source: Linux, drivers/net/tun.c: tun_set_iff replaces the flags of an existing
#         interface; only set_offload changes set_features
# Needs:  root, ip, go
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make a network namespace"
[ -c /dev/net/tun ] || not_tried "there is no /dev/net/tun"
for program in ip unshare go; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/tun.go" <<'GO'
package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	setIff, setOffload     = 0x400454ca, 0x400454d0
	tunMode, noPI, vnetHdr = 1, 0x1000, 0x4000
	all                    = 1 | 2 | 4 | 8 | 0x20 | 0x40 // checksums, TSO, USO
)

func attach(flags uint16) int {
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		panic(err)
	}
	var request [40]byte
	copy(request[:], "tun0")
	binary.NativeEndian.PutUint16(request[16:], tunMode|noPI|flags)
	ioctl(fd, setIff, uintptr(unsafe.Pointer(&request)))
	return fd
}

func ioctl(fd int, number, argument uintptr) {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), number, argument); errno != 0 {
		fmt.Fprintln(os.Stderr, "NOT TRIED: ioctl:", errno)
		os.Exit(77)
	}
}

// first sends trains of three datagrams of 1,000 bytes, and returns the length of the
// first packet that is read, and whether its checksum is correct.
func first(fd int) (length int, correct bool) {
	c, err := net.Dial("udp4", "10.9.0.2:9")
	if err != nil {
		panic(err)
	}
	raw, _ := c.(*net.UDPConn).SyscallConn()
	raw.Control(func(s uintptr) { err = syscall.SetsockoptInt(int(s), 17, 103, 1000) }) // UDP_SEGMENT
	if err != nil {
		panic(err)
	}
	p := make([]byte, 70000)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c.Write(make([]byte, 3000)) // the kernel drops it while the interface is not ready
		for {
			n, err := syscall.Read(fd, p)
			if err != nil {
				break
			}
			if p[0] == 0x45 && p[9] == 17 {
				return n, checksum(p[:n])
			}
		}
	}
	return 0, false
}

// checksum reports whether the checksum of a UDP packet is correct.
func checksum(p []byte) bool {
	sum := uint32(17 + len(p) - 20)
	for i := 12; i+1 < len(p); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
		sum = sum>>16 + sum&0xffff
	}
	return sum == 0xffff
}

func main() {
	earlier := attach(vnetHdr)
	ioctl(earlier, setOffload, all)
	syscall.Close(earlier)
	later := attach(0)
	n, correct := first(later)
	fmt.Printf("after another program's offloads: %d bytes, checksum correct: %v\n", n, correct)
	ioctl(later, setOffload, 0)
	n, correct = first(later)
	fmt.Printf("after TUNSETOFFLOAD with 0: %d bytes, checksum correct: %v\n", n, correct)
}
GO
(cd "$folder" && GO111MODULE=off GOWORK=off go build -o tun tun.go) || not_tried "the program cannot be built"
cat >"$folder/inside" <<'SH'
ip tuntap add dev tun0 mode tun vnet_hdr && ip address add 10.9.0.1/24 dev tun0 && ip link set tun0 up && exec "$1/tun"
SH
unshare -n sh "$folder/inside" "$folder" >"$folder/output"
cat "$folder/output"
if [ "$(cat "$folder/output")" != "after another program's offloads: 3028 bytes, checksum correct: false
after TUNSETOFFLOAD with 0: 1028 bytes, checksum correct: true" ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
