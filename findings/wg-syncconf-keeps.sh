#!/bin/sh
# wg syncconf leaves a preshared key and a keepalive that left the file, and clears the mark and the port.
#
# Guess:  after wg syncconf, the interface is what wg setconf makes of the same file, but
#         sessions continue: wg(8) says "like setconf", and that it changes what differs
#         between the file and the interface.
# Truth:  a PresharedKey or PersistentKeepalive that the file no longer has stays: a key
#         that one end has dropped keeps both ends apart. But a mark and a port that the
#         file does not name are set to 0, also those that wg-quick or a hook has set:
#         `wg syncconf wg0 <(wg-quick strip wg0)`, the reload of wg-quick@.service, takes
#         the mark from a default route, whose rules then lead the tunnel's own packets
#         into the tunnel. An Endpoint stays, as no one can remove it.
# Seen:   wireguard-tools 1.0.20210914, of Debian 12 and 13, with wireguard-go
#         0.0.0-20260522210424-ecfc5a8d5446, 2026-11-29; 1.0.20260223 removes the key
#         and the keepalive, and clears the mark and the port as well
# Source: wg(8), syncconf; wireguard-tools, src/setconf.c: sync_conf, which compares
#         peers and allowed IPs alone
# Needs:  root, wg, go, /dev/net/tun, and the Go module proxy
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make an interface"
[ -c /dev/net/tun ] || not_tried "there is no /dev/net/tun"
for program in wg go ip unshare; do
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
mkdir -p /var/run/wireguard
mount -t tmpfs none /var/run/wireguard
"$dir/wireguard" -f wgtry >/dev/null 2>&1 &
daemon=$!
trap 'kill $daemon' EXIT
tries=0
until wg show wgtry >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || not_tried "the interface does not appear"
	sleep 0.1
done

umask 077
cat >"$dir/full" <<-CONF
	[Interface]
	PrivateKey = $(wg genkey)
	ListenPort = 5555
	FwMark = 0x77
	[Peer]
	PublicKey = 40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg=
	PresharedKey = $(wg genpsk)
	PersistentKeepalive = 25
	Endpoint = 192.0.2.1:7
	AllowedIPs = 10.1.0.0/16, 10.2.0.0/16
CONF
sed '/^ListenPort/d; /^FwMark/d; /^PresharedKey/d; /^Persistent/d; /^Endpoint/d; s/, 10.2.*//' "$dir/full" >"$dir/less"
state() {
	port=changed key=none
	[ "$(wg show wgtry listen-port)" != 5555 ] || port=5555
	wg show wgtry preshared-keys | grep -q none || key=kept
	echo "port $port, mark $(wg show wgtry fwmark), preshared key $key," \
		"$(wg show wgtry dump | awk 'NR == 2 { print "keepalive", $8 ", endpoint", $3 ", allowed", $4 }')"
}
wrong=0
try() { # a command, and the expected state
	wg setconf wgtry "$dir/full"
	wg "$1" wgtry "$dir/less"
	got=$(state)
	echo "wg $1: $got"
	[ "$got" = "$2" ] || wrong=1
}
wg setconf wgtry "$dir/full"
echo "before: $(state)"
try syncconf "port changed, mark off, preshared key kept, keepalive 25, endpoint 192.0.2.1:7, allowed 10.1.0.0/16"
try setconf "port changed, mark off, preshared key none, keepalive off, endpoint (none), allowed 10.1.0.0/16"

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
