#!/bin/sh
# The padding behind an IPv6 source address makes the kernel allocate memory for each datagram.
#
# Guess:  a control message costs a copy, and it does not matter whether the padding
#         behind the last one is sent along, as the manual page does (CMSG_SPACE, 40
#         bytes for IPV6_PKTINFO), or not (CMSG_LEN, 36 bytes).
# Truth:  the kernel has room for 36 bytes on its stack. With 40 it allocates memory
#         for each message, which is 4 % of a send over the loopback interface; and
#         if no memory for options is allowed, the send fails.
# Seen:   Linux 6.18.44, Go 1.26.8, 2026-11-30
# Source: Linux, net/socket.c: ____sys_sendmsg, where ctl has room for a struct
#         cmsghdr and 20 bytes, the size of in6_pktinfo; net/core/sock.c: sock_kmalloc,
#         which respects net.core.optmem_max; cmsg(3)
# Needs:  root, Linux 6.7 for a sysctl of the namespace, ip, unshare, go
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make a network namespace"
for program in ip unshare go; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
limit=/proc/sys/net/core/optmem_max

if [ "${1-}" = inside ]; then
	[ -w $limit ] || not_tried "a network namespace has no net.core.optmem_max"
	ip link set lo up
	echo 0 >$limit
	exec "$2/padding"
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/padding.go" <<'GO'
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
)

func main() {
	if syscall.CmsgSpace(20) != 40 {
		fmt.Fprintln(os.Stderr, "NOT TRIED: on this processor, nothing is padded")
		os.Exit(77)
	}
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_DGRAM, 0)
	if err != nil {
		panic(err)
	}
	loopback := [16]byte{15: 1}
	control := make([]byte, 40)
	binary.NativeEndian.PutUint64(control, 36)
	binary.NativeEndian.PutUint32(control[8:], syscall.IPPROTO_IPV6)
	binary.NativeEndian.PutUint32(control[12:], syscall.IPV6_PKTINFO)
	copy(control[16:], loopback[:])

	for _, n := range []int{36, 40} {
		_, err := syscall.SendmsgN(fd, []byte("x"), control[:n], &syscall.SockaddrInet6{Port: 9, Addr: loopback}, 0)
		fmt.Printf("%d bytes of control messages, with no memory for options: %v\n", n, err)
	}
}
GO
(cd "$folder" && CGO_ENABLED=0 GOFLAGS= go build -o padding padding.go)
unshare -n sh "$0" inside "$folder" >"$folder/seen"
cat "$folder/seen"
if ! grep -q '^36 bytes.*: <nil>$' "$folder/seen" || ! grep -q '^40 bytes.*: no buffer space available$' "$folder/seen"; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
