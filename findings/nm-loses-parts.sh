#!/bin/sh
# NetworkManager loses keys, name servers and allowed IPs of a tunnel without a word.
#
# Guess:  `nmcli connection import` refuses a file of wg-quick that it cannot take
#         over as a whole, or says what it left out. In a keyfile, a blank after the
#         semicolon of a list does not matter, or is an error.
# Truth:  the import says "successfully added". A hook is gone, and with it the key
#         that it set: the connection has none. An IPv6 name server is gone if the
#         file has no IPv6 address. In a keyfile, allowed-ips=10.0.0.0/8; fd00::/8
#         and dns=10.2.0.1; 10.2.0.2 lose their second elements, and a list with
#         commas is lost as a whole, also without a message in the log.
# Seen:   NetworkManager 1.42.4-1+deb12u1, 2026-11-29
# Source: NetworkManager, src/libnmc-base/nm-vpn-helpers.c:
#         nm_vpn_wireguard_import; nm-settings-keyfile(5)
# Needs:  root, overlayfs, dbus-daemon, and Debian 12 with its package lists, or
#         NetworkManager and nmcli
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to have a /run and an /etc of its own"
for program in dbus-daemon unshare mount ip; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	mkdir -p "$dir/root/usr" "$dir/root/etc"
	if ! command -v NetworkManager >/dev/null || ! command -v nmcli >/dev/null; then
		command -v apt-get >/dev/null || not_tried "there is no NetworkManager, and no apt-get to get it"
		(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download \
			network-manager=1.42.4-1+deb12u1 libnm0=1.42.4-1+deb12u1 libndp0=1.8-1+deb12u1 \
			libteamdctl0=1.31-1 libjansson4=2.14-2 libmm-glib0=1.20.4-1 libbluetooth3 \
			libpolkit-gobject-1-0=122-3 libpolkit-agent-1-0=122-3 libcurl3-gnutls libpsl5 \
			libnewt0.52 libreadline8 libslang2) || not_tried "the packages cannot be had"
		mkdir -p "$dir/packages"
		for package in "$dir"/*.deb; do dpkg -x "$package" "$dir/packages"; done
		# Debian's /lib is /usr/lib.
		cp -a "$dir/packages/usr/." "$dir/root/usr/"
		[ ! -d "$dir/packages/lib" ] || cp -a "$dir/packages/lib/." "$dir/root/usr/lib/"
		cp -a "$dir/packages/etc/." "$dir/root/etc/"
	fi
	unshare -m -n sh "$0" inside "$dir"
	exit 0
fi
dir=$2
mkdir "$dir/upper"
mount -t tmpfs none "$dir/upper"
for part in usr etc; do
	mkdir -p "$dir/upper/$part" "$dir/upper/$part.work"
	mount -t overlay overlay -o "lowerdir=$dir/root/$part:/$part,upperdir=$dir/upper/$part,workdir=$dir/upper/$part.work" /$part ||
		not_tried "there is no overlayfs"
done
mkdir -p /var/lib
mount -t tmpfs none /var/lib
mount -t tmpfs none /run
mkdir -p /run/dbus /var/lib/NetworkManager
profiles=/etc/NetworkManager/system-connections
rm -rf $profiles
mkdir -p $profiles
ip link set lo up
cat >/run/bus.conf <<'XML'
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/><allow user="*"/></policy></busconfig>
XML
printf '[main]\nplugins=keyfile\ndns=none\nauth-polkit=false\n' >/run/nm.conf
dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile 2>/run/bus.log &
bus=$!
trap 'kill $bus' EXIT
tries=0
until [ -S /run/dbus/system_bus_socket ]; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || not_tried "the bus does not start"
	sleep 0.1
done
NetworkManager --no-daemon --config=/run/nm.conf --log-level=INFO >/run/nm.log 2>&1 &
manager=$!
trap 'kill $manager $bus; wait' EXIT
until nmcli -t general >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 200 ] || not_tried "NetworkManager does not start"
	sleep 0.1
done
nmcli --version

wrong=0
expect() { # what, and the status of the last command that is expected
	[ $status = "$2" ] && return
	echo "it is otherwise: $1"
	wrong=1
}
peer=40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg=
cat >/run/wgtry.conf <<EOF
[Interface]
Address = 10.2.0.2/24
DNS = 10.2.0.1, fd00::53
PostUp = wg set %i private-key /etc/wireguard/key
[Peer]
PublicKey = $peer
AllowedIPs = 0.0.0.0/0
EOF
status=0
nmcli connection import type wireguard file /run/wgtry.conf || status=1
expect "the import succeeds" 0
echo "what it became:"
grep -E 'key|dns|post|script|address' $profiles/wgtry.nmconnection
for word in private-key fd00::53 'wg set'; do
	status=0
	grep -q "$word" $profiles/wgtry.nmconnection || status=1
	expect "$word is lost" 1
done

cat >$profiles/lists.nmconnection <<EOF
[connection]
id=lists
uuid=a2625823-89ff-4339-849a-b3e31c39ab11
type=wireguard
interface-name=wglists
[wireguard]
[wireguard-peer.$peer]
allowed-ips=10.0.0.0/8; fd00::/8
[ipv4]
method=manual
address1=10.2.0.2/24
dns=10.2.0.1; 10.2.0.2
[ipv6]
method=disabled
EOF
sed 's/; /,/; s/=lists/=commas/; s/ab11/ab12/; s/wglists/wgcommas/' $profiles/lists.nmconnection >$profiles/commas.nmconnection
chmod 600 $profiles/*
nmcli connection reload
for name in lists commas; do
	nmcli connection modify $name connection.autoconnect-priority 1 # writes the file anew
	echo "$name: what is left:"
	grep -E 'allowed-ips|dns' $profiles/$name.nmconnection || echo "nothing"
	status=0
	grep -qE 'fd00::/8|10\.2\.0\.2;' $profiles/$name.nmconnection || status=1
	expect "the second elements are lost" 1
done
status=0
grep -iE 'warn.*(allowed|dns|lists|commas)' /run/nm.log || status=1
expect "the log does not mention it" 1
if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
