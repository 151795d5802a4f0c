#!/bin/sh
# IPV6_MTU does not make a UDP socket fragment at that size, only above the link's.
#
# Guess:  a UDP socket with IPV6_MTU set to 1280 sends a longer datagram in
#         fragments of at most 1280 bytes, as ipv6(7) seems to say ("Set the MTU
#         to be used for the socket"): the way to reach a host behind a narrow
#         path whose ICMP errors are lost.
# Truth:  a datagram that fits the MTU of the first link leaves in one piece. One
#         that does not is fragmented, and only then are the fragments as short
#         as IPV6_MTU says. With IPV6_PMTUDISC_DO, the limit holds, but then
#         sending fails with EMSGSIZE.
# Seen:   Linux 6.18.44, iproute2 6.1.0, Go 1.26.8, 2026-11-29
# Source: Linux, net/ipv6/ip6_output.c: ip6_setup_cork, where frag_size limits
#         the pieces, and __ip6_finish_output, where the MTU of the route decides
#         whether there are any
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
	ip address add fd77::1/64 dev v0 nodad
	ip link set v0 up
	ip link set v1 up
	ip neighbour add fd77::2 lladdr 02:00:00:00:00:02 dev v0
	exec "$2/mtu"
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/mtu.go" <<'GO'
package main

import (
	"fmt"
	"net"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	v1, err := net.InterfaceByName("v1")
	check(err)
	const ip6 = 0xdd86 // ETH_P_IPV6 in network byte order
	in, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, ip6)
	check(err)
	check(syscall.Bind(in, &syscall.SockaddrLinklayer{Protocol: ip6, Ifindex: v1.Index}))
	check(syscall.SetsockoptTimeval(in, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 10}))
	time.Sleep(500 * time.Millisecond)

	// first returns the length of the first packet of a datagram, and whether it is a
	// fragment.
	first := func() (length int, fragment bool) {
		p := make([]byte, 65536)
		for {
			n, _, err := syscall.Recvfrom(in, p, 0)
			check(err)
			if n > 600 && (p[6] == 17 || p[6] == 44) {
				return n, p[6] == 44
			}
		}
	}
	const ipv6MTU, ipv6MTUDiscover = 24, 23
	send := func(discover, length int) {
		out, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_DGRAM, 0)
		check(err)
		check(syscall.SetsockoptInt(out, syscall.SOL_IPV6, ipv6MTU, 1280))
		check(syscall.SetsockoptInt(out, syscall.SOL_IPV6, ipv6MTUDiscover, discover))
		to := &syscall.SockaddrInet6{Port: 9999, Addr: [16]byte{0: 0xfd, 1: 0x77, 15: 2}}
		what := fmt.Sprintf("IPV6_MTU 1280, IPV6_MTU_DISCOVER %d, a datagram of %d bytes", discover, length)
		if err := syscall.Sendto(out, make([]byte, length), 0, to); err != nil {
			fmt.Printf("%s: %v\n", what, err)
			return
		}
		n, fragment := first()
		fmt.Printf("%s: the first packet has %d bytes, fragment %v\n", what, n, fragment)
		time.Sleep(50 * time.Millisecond) // the other fragments
		for {
			if _, _, err := syscall.Recvfrom(in, make([]byte, 65536), syscall.MSG_DONTWAIT); err != nil {
				break
			}
		}
	}
	send(0, 1400) // IPV6_PMTUDISC_DONT
	send(1, 1400) // WANT
	send(5, 1400) // OMIT
	send(0, 2000)
	send(2, 1400) // DO
}
GO
(cd "$folder" && GO111MODULE=off GOWORK=off CGO_ENABLED=0 go build -o mtu mtu.go) || not_tried "the program cannot be built"
unshare -n sh "$0" inside "$folder" >"$folder/seen" || not_tried "the datagrams cannot be sent here"
cat "$folder/seen"
if [ "$(grep -c 'has 1448 bytes, fragment false' "$folder/seen")" != 3 ] ||
	! grep -q 'of 2000 bytes: the first packet has 1280 bytes, fragment true' "$folder/seen" ||
	! grep -q 'DISCOVER 2, .*: message too long' "$folder/seen"; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
