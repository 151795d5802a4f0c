#!/bin/sh
# wireguard-go sends one keepalive for a series of packets, not another one for those after the first.
#
# Guess:  whoever has received several data packets and sends none sends a keepalive 10
#         seconds after the first one, and one more 10 seconds later, because more
#         packets came meanwhile: a flag (needAnotherKeepalive) is kept for that.
# Truth:  there is one. The second one is scheduled before the first one is sent, and
#         whatever is sent stops the timer. So a packet that arrives in the 10 seconds
#         before a keepalive leaves no trace; to learn from a keepalive what has
#         arrived, one must send after a pause.
# Seen:   wireguard-go 0.0.0-20260522210424-ecfc5a8d5446, Linux 6.18, 2026-11-29
# Source: device/timers.go: expiredSendKeepalive, timersAnyAuthenticatedPacketSent
# Needs:  root, wg, go, ip, ping, /dev/net/tun, and the Go module proxy
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make interfaces"
[ -c /dev/net/tun ] || not_tried "there is no /dev/net/tun"
for program in wg go ip ping unshare nsenter; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	dir=$(mktemp -d)
	trap 'chmod -R u+w "$dir" && rm -rf "$dir"' EXIT
	GOBIN="$dir" GOFLAGS=-modcacherw go install golang.zx2c4.com/wireguard@v0.0.0-20260522210424-ecfc5a8d5446 ||
		not_tried "wireguard-go cannot be installed"
	unshare -m -n sh "$0" inside "$dir"
	exit 0
fi
dir=$2
umask 077
mkdir -p /var/run/wireguard
mount -t tmpfs none /var/run/wireguard
processes=
trap 'kill $processes' EXIT
unshare -n sleep 120 &
other=$! processes=$!
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
there() { nsenter -t $other -n "$@"; }

"$dir/wireguard" -f wga >/dev/null 2>&1 &
processes="$processes $!"
nsenter -t $other -n "$dir/wireguard" -f wgb >/dev/null 2>&1 &
processes="$processes $!"
tries=0
until wg show wga >/dev/null 2>&1 && wg show wgb >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || not_tried "the interfaces do not appear"
	sleep 0.1
done

ip link add va type veth peer name vb netns $other
a=$(wg genkey) b=$(wg genkey)
# host PREFIX INTERFACE PRIVATE PEER N OTHER
host() {
	prefix=$1
	echo 1 | $prefix tee /proc/sys/net/ipv6/conf/all/disable_ipv6 >/dev/null
	$prefix ip link set lo up
	$prefix ip addr add 192.0.2.$5/24 dev v${2#wg}
	$prefix ip link set v${2#wg} up
	$prefix ip addr add 10.9.0.$5/24 dev $2
	$prefix ip link set $2 up
	printf '[Interface]\nListenPort = 5555\nPrivateKey = %s\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.9.0.%s/32\nEndpoint = 192.0.2.%s:5555\n' \
		"$3" "$(echo "$4" | wg pubkey)" $6 $6 >"$dir/$2"
	wg setconf $2 "$dir/$2"
}
host "" wga "$a" "$b" 1 2
host there wgb "$b" "$a" 2 1
there sh -c 'echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all' # so nothing answers

received() { wg show wga transfer | cut -f 2; } # bytes; the response has 92, a keepalive 32
ping -c 4 -W 1 10.9.0.2 >/dev/null 2>&1 || true
first=$(received)
sleep 12
second=$(received)
sleep 15
third=$(received)
echo "four packets within 3 seconds; then $(((second - first) / 32)) keepalive in 12 seconds," \
	"and $(((third - second) / 32)) in 15 seconds more"
if [ $first != 92 ] || [ $((second - first)) != 32 ] || [ "$third" != "$second" ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
