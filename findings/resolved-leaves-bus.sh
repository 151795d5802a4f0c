#!/bin/sh
# systemd-resolved stays away from D-Bus when the bus has been restarted.
#
# Guess:  systemd-resolved, which waits for the bus if it is started before it,
#         also connects again when the bus has been restarted, or ends and is
#         started again, because its unit has Restart=always.
# Truth:  it does neither. It goes on answering at 127.0.0.53, with the settings that
#         it has, so nothing seems wrong. But nobody can change them: its name has
#         no owner on the new bus until systemd-resolved itself is restarted.
# Seen:   systemd 252.39-1~deb12u2, dbus-daemon 1.14.10, 2026-11-29
# Source: https://github.com/systemd/systemd/pull/22045
# Needs:  root, dbus-daemon, and Debian 12 with its package lists
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to have a /run and a network of its own"
for program in dbus-daemon dbus-send unshare mount ip; do
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
call() { # a method of systemd-resolved and its argument
	dbus-send --system --print-reply --dest=org.freedesktop.resolve1 \
		/org/freedesktop/resolve1 "org.freedesktop.resolve1.Manager.$1" "$2" 2>&1
}
bus= resolved=
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
echo "before:"
call RevertLink int32:"$index" || wrong=1
kill $bus
wait $bus || true
start_bus
sleep 20
echo "20 s after the bus was restarted:"
if call RevertLink int32:"$index"; then wrong=1; fi
kill -0 $resolved || wrong=1
echo nameserver 127.0.0.53 >/run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
ip addr add 192.0.2.1/32 dev lo # without an address that is not 127.0.0.1, libc looks up nothing
getent -s dns ahostsv4 localhost || wrong=1
kill $resolved
wait $resolved || true
start_resolved
echo "after systemd-resolved was restarted as well:"
call RevertLink int32:"$index" || wrong=1
[ $wrong = 0 ] || exit 1
echo "It is still so."
