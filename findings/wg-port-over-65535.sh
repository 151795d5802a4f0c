#!/bin/sh
# wg accepts ListenPort = 70000 as port 4464, without an error.
#
# Guess:  a port is a number up to 65535, so wg refuses ListenPort = 70000 and
#         Endpoint = 192.0.2.1:70000, as it refuses PersistentKeepalive = 70000.
# Truth:  it reads ports with getaddrinfo(3), and that of glibc truncates a number to
#         16 bits. `wg setconf` succeeds and sets 4464 for both. With a typing error
#         (518200 for 51820), the tunnel listens on, or sends to, another port.
# Seen:   wireguard-tools 1.0.20210914 with glibc 2.36 and 1.0.20260223 with
#         glibc 2.43, 2026-11-29
# Source: wireguard-tools, src/config.c: parse_port and parse_endpoint; glibc,
#         getaddrinfo: strtoul, and htons of what it returns
# Needs:  root, wg, glibc, go
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to have a /var/run/wireguard of its own"
for program in wg go getconf unshare; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
getconf GNU_LIBC_VERSION >/dev/null 2>&1 || not_tried "the C library is not glibc"
if [ "${1-}" != inside ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	unshare -m -n sh "$0" inside "$dir"
	exit 0
fi
dir=$2
mkdir -p /var/run/wireguard
mount -t tmpfs none /var/run/wireguard

# An interface that accepts whatever wg sets, and prints it.
cat >"$dir/main.go" <<'GO'
package main

import (
	"bufio"
	"fmt"
	"net"
)

func main() {
	listener, err := net.Listen("unix", "/var/run/wireguard/wgtry.sock")
	if err != nil {
		panic(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		lines := bufio.NewScanner(conn)
		for lines.Scan() && lines.Text() != "" {
			fmt.Println(lines.Text())
		}
		fmt.Fprint(conn, "errno=0\n\n")
		conn.Close()
	}
}
GO
(cd "$dir" && GO111MODULE=off CGO_ENABLED=0 go build -o interface main.go)
"$dir/interface" >"$dir/set" &
interface=$!
trap 'kill $interface' EXIT
tries=0
until [ -S /var/run/wireguard/wgtry.sock ]; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || not_tried "the socket does not appear"
	sleep 0.1
done

wrong=0
try() { # a directive, and the exit status of wg that is expected
	printf '[Interface]\n[Peer]\nPublicKey = 40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg=\n' >"$dir/conf"
	case $1 in
	ListenPort*) printf '[Interface]\n%s\n' "$1" >"$dir/conf" ;;
	*) echo "$1" >>"$dir/conf" ;;
	esac
	status=0
	wg setconf wgtry "$dir/conf" 2>"$dir/errors" || status=$?
	echo "$1: exit status $status: $(cat "$dir/errors")"
	[ $status = "$2" ] || wrong=1
}
try 'PersistentKeepalive = 70000' 1
try 'ListenPort = 70000' 0
try 'Endpoint = 192.0.2.1:70000' 0
echo "what the interface was told:"
grep -E 'port|endpoint' "$dir/set"
grep -qx 'listen_port=4464' "$dir/set" && grep -qx 'endpoint=192.0.2.1:4464' "$dir/set" || wrong=1
if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
