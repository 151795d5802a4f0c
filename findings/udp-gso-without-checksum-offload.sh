#!/bin/sh
# UDP GSO works on a device without checksum offload: EIO no longer means that it does not.
#
# Guess:  sendmsg with UDP_SEGMENT fails with EIO if the outgoing device has no
#         checksum offload, or if that is turned off (ethtool -K eth0 tx off).
#         Network libraries rely on it: at the first EIO, many turn GSO off for
#         the socket, or for the process.
# Truth:  the kernel computes the checksums itself, and all datagrams arrive with
#         correct ones. Since Linux 6.11 the only reason for EIO is IPsec on the
#         route. So it concerns one destination, and a test of the fallback that
#         turns the offload off tests nothing.
# Seen:   Linux 6.18.44, iproute2 6.1.0, Go 1.26.8, 2026-11-28
# Source: Linux, net/ipv4/udp.c: udp_send_skb, where the check of CHECKSUM_PARTIAL
#         was removed and that of dst_xfrm remains; net/ipv4/udp_offload.c:
#         __udp_gso_segment
# Needs:  root, ip, go
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make network namespaces"
for program in ip unshare go; do
	command -v $program >/dev/null || not_tried "there is no $program"
done

if [ "${1-}" = receive ]; then
	exec "$2/gso" receive
fi
if [ "${1-}" = inside ]; then
	unshare -n sh "$0" receive "$2" >"$2/arrived" &
	receiver=$!
	trap 'kill $receiver 2>/dev/null || true' EXIT
	ip link add v0 type veth peer name v1
	tries=0
	until [ -s "$2/arrived" ]; do # until it reports that it is in its own namespace
		tries=$((tries + 1))
		[ $tries -lt 100 ] || not_tried "the receiver does not start"
		sleep 0.1
	done
	ip link set v1 netns $receiver
	ip address add 10.9.0.1/24 dev v0
	ip link set v0 up
	"$2/gso" send v0
	wait $receiver || true
	exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/gso.go" <<'GO'
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"
)

func main() {
	if os.Args[1] == "receive" {
		receive()
	} else {
		send(os.Args[2])
	}
}

// receive prints the length of each datagram, until none has arrived for a while.
func receive() {
	fmt.Println("ready")
	for exec.Command("ip", "address", "add", "10.9.0.2/24", "dev", "v1").Run() != nil {
		time.Sleep(50 * time.Millisecond)
	}
	exec.Command("ip", "link", "set", "v1", "up").Run()
	c, err := net.ListenPacket("udp4", "10.9.0.2:9999")
	if err != nil {
		panic(err)
	}
	b := make([]byte, 65536)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		fmt.Println(n)
		c.SetReadDeadline(time.Now().Add(time.Second))
	}
}

// send turns checksum offload off, and sends one train of three datagrams.
func send(device string) {
	time.Sleep(time.Second) // until the receiver listens
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		panic(err)
	}
	const siocethtool, getTx, setTx = 0x8946, 0x16, 0x17
	ethtool := func(command uint32) uint32 {
		value := [2]uint32{command, 0}
		request := struct {
			name  [16]byte
			value unsafe.Pointer
			_     [16]byte
		}{value: unsafe.Pointer(&value)}
		copy(request.name[:], device)
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), siocethtool, uintptr(unsafe.Pointer(&request))); errno != 0 {
			panic(errno)
		}
		return value[1]
	}
	ethtool(setTx)
	fmt.Println("tx-checksumming of the device:", ethtool(getTx))
	const solUDP, udpSegment = 17, 103
	oob := make([]byte, syscall.CmsgSpace(2))
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = solUDP, udpSegment
	h.SetLen(syscall.CmsgLen(2))
	*(*uint16)(unsafe.Pointer(&oob[syscall.CmsgLen(0)])) = 1000
	_, err = syscall.SendmsgN(fd, make([]byte, 2500), oob, &syscall.SockaddrInet4{Port: 9999, Addr: [4]byte{10, 9, 0, 2}}, 0)
	fmt.Println("sendmsg of 2500 bytes in datagrams of 1000:", err)
}
GO
(cd "$folder" && GO111MODULE=off GOWORK=off CGO_ENABLED=0 go build -o gso gso.go) || not_tried "the program cannot be built"
unshare -n sh "$0" inside "$folder" >"$folder/sent"
cat "$folder/sent"
arrived=$(grep -v ready "$folder/arrived" | tr '\n' ' ')
echo "arrived, by length: $arrived"
grep -q 'tx-checksumming of the device: 0' "$folder/sent" || not_tried "the device keeps its checksum offload"
if [ "$arrived" != "1000 1000 500 " ] || ! grep -q 'in datagrams of 1000: <nil>' "$folder/sent"; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
