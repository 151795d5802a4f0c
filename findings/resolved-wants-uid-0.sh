#!/bin/sh
# systemd-resolved refuses CAP_NET_ADMIN, which it asks for: only user ID 0 counts.
#
# Guess:  a daemon that runs as a user of its own with CAP_NET_ADMIN, with which it
#         makes the interface, can also set the name servers of the interface:
#         the code of SetLinkDNS and RevertLink asks for CAP_NET_ADMIN or polkit.
# Truth:  it is refused. Over the D-Bus of dbus-daemon, systemd cannot see the
#         capabilities of a caller in a way that it trusts, and looks at the user
#         ID instead. Root without a single capability may set everything.
# Seen:   systemd 252.39-1~deb12u2, dbus-daemon 1.14.10, 2026-11-29
# Source: https://github.com/systemd/systemd/issues/18956;
#         https://github.com/systemd/systemd/issues/21586
# Needs:  root, dbus-daemon, setpriv, and Debian 12 with its package lists
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to have a /run and a network of its own"
for program in dbus-daemon dbus-send unshare mount ip setpriv; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	chmod 755 "$dir"
	command -v apt-get >/dev/null || not_tried "there is no apt-get to get systemd-resolved"
	(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download \
		systemd-resolved=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2) || not_tried "the packages cannot be had"
	for package in "$dir"/*.deb; do dpkg -x "$package" "$dir"; done
	unshare -m -n sh "$0" inside "$dir"
	exit 0
fi
dir=$2
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/dbus /run/systemd
for table in passwd group; do
	cp /etc/$table /run/$table
	echo "systemd-resolve:x:64053:$([ $table = group ] || echo 64053::/:/usr/sbin/nologin)" >>/run/$table
	mount --bind /run/$table /etc/$table
done
cat >/run/bus.conf <<'XML'
<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/><allow user="*"/></policy></busconfig>
XML
ip link set lo up
ip tuntap add probe mode tun
index=$(cat /sys/class/net/probe/ifindex 2>/dev/null || ip -o link show probe | cut -d : -f 1)
library=$(dirname "$(find "$dir" -name 'libsystemd-shared-*.so')")
call() { # a method of systemd-resolved and its argument; $as runs it
	$as dbus-send --system --print-reply --dest=org.freedesktop.resolve1 \
		/org/freedesktop/resolve1 "org.freedesktop.resolve1.Manager.$1" "$2" 2>&1
}
as= bus= resolved=
trap 'kill $resolved $bus 2>/dev/null; wait' EXIT
start_bus() {
	rm -f /run/dbus/system_bus_socket
	dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile 2>>/run/bus.log &
	bus=$!
	tries=0
	until [ -S /run/dbus/system_bus_socket ]; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || not_tried "the bus does not start"
		sleep 0.1
	done
}
start_resolved() {
	LD_LIBRARY_PATH=$library "$dir/lib/systemd/systemd-resolved" >>/run/resolved.log 2>&1 &
	resolved=$!
	tries=0
	until call RevertLink int32:"$index" >/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || not_tried "systemd-resolved does not start: $(cat /run/resolved.log)"
		sleep 0.1
	done
}
start_bus
start_resolved

wrong=0
as="setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +net_admin --ambient-caps +net_admin"
$as ip link set probe up || not_tried "CAP_NET_ADMIN cannot be given to another user"
echo "user 65534 with CAP_NET_ADMIN, which has just brought the interface up:"
if call RevertLink int32:"$index"; then wrong=1; fi
as="setpriv --inh-caps -all --bounding-set -all"
echo "root without any capability, which the kernel does not allow to change the interface:"
$as ip link set probe down && wrong=1
call RevertLink int32:"$index" || wrong=1
[ $wrong = 0 ] || exit 1
echo "It is still so."
