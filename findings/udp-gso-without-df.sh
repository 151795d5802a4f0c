#!/bin/sh
# A UDP socket sets DF on a single datagram, but not on those of a GSO train.
#
# Guess:  a UDP socket does path MTU discovery unless that is turned off
#         (ip_no_pmtu_disc is 0, and the socket has IP_PMTUDISC_WANT). So each
#         datagram that fits the MTU has DF, also if sendmsg gets several of
#         them with UDP_SEGMENT, and a router reports it where it is too long.
# Truth:  the kernel compares the whole train with the MTU. A longer train has
#         no DF, although each of its datagrams fits, so routers fragment them
#         and report nothing. On a narrow path without ICMP, a program's trains
#         arrive, and what it sends alone is lost: bulk data passes, and stalls
#         at a datagram that is sent again by itself. With IP_PMTUDISC_DO or
#         _PROBE, trains have DF as well.
# Seen:   Linux 6.18.44, iproute2 6.1.0, Go 1.26.8, 2026-11-29; it was found with
#         wireguard-go v0.0.0-20260522210424-ecfc5a8d5446
# Source: Linux, net/ipv4/ip_output.c: __ip_make_skb, where skb->len is that of
#         the train
# Needs:  root, ip, unshare, go
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make a network namespace"
for program in ip unshare go; do
	command -v $program >/dev/null || not_tried "there is no $program"
done

if [ "${1-}" = inside ]; then
	ip link add v0 type veth peer name v1
	ip address add 10.9.0.1/24 dev v0
	ip link set v0 up
	ip link set v1 up
	ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev v0
	exec "$2/df"
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/df.go" <<'GO'
package main

import (
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	v1, err := net.InterfaceByName("v1")
	check(err)
	const ip = 0x0008 // ETH_P_IP in network byte order
	in, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, ip)
	check(err)
	check(syscall.Bind(in, &syscall.SockaddrLinklayer{Protocol: ip, Ifindex: v1.Index}))
	check(syscall.SetsockoptTimeval(in, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 10}))
	out, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	check(err)
	time.Sleep(200 * time.Millisecond)

	send := func(what string, length, datagram int) {
		oob := make([]byte, syscall.CmsgSpace(2))
		h := (*syscall.Cmsghdr)(unsafe.Pointer(&oob[0]))
		const solUDP, udpSegment = 17, 103
		h.Level, h.Type = solUDP, udpSegment
		h.SetLen(syscall.CmsgLen(2))
		*(*uint16)(unsafe.Pointer(&oob[syscall.CmsgLen(0)])) = uint16(datagram)
		if length == datagram {
			oob = nil
		}
		_, err := syscall.SendmsgN(out, make([]byte, length), oob, &syscall.SockaddrInet4{Port: 9999, Addr: [4]byte{10, 9, 0, 2}}, 0)
		check(err)
		p := make([]byte, 65536)
		_, _, err = syscall.Recvfrom(in, p, 0)
		check(err)
		fmt.Printf("%s: DF is %d\n", what, p[6]>>6&1)
	}
	send("by default, a datagram of 1000 bytes", 1000, 1000)
	send("by default, a train of 2 datagrams of 500 bytes", 1000, 500)
	send("by default, a train of 3 datagrams of 1000 bytes", 3000, 1000)
	check(syscall.SetsockoptInt(out, syscall.SOL_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DO))
	send("with IP_PMTUDISC_DO, a train of 3 datagrams of 1000 bytes", 3000, 1000)
}
GO
(cd "$folder" && GO111MODULE=off GOWORK=off CGO_ENABLED=0 go build -o df df.go) || not_tried "the program cannot be built"
unshare -n sh "$0" inside "$folder" >"$folder/seen" || not_tried "the datagrams cannot be sent here"
cat "$folder/seen"
if [ "$(sed 's/.*DF is //' "$folder/seen" | tr -d '\n')" != 1101 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
