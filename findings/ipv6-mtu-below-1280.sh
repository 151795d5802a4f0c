#!/bin/sh
# An MTU below 1280, even for a moment, resets all IPv6 settings of an interface.
#
# Guess:  below 1280, Linux has no IPv6 on an interface. When the MTU is 1280 again,
#         IPv6 works as before, except that its addresses have to be set again.
# Truth:  IPv6 is initialized again, as on a new interface: every setting in
#         net.ipv6.conf.NAME is that of net.ipv6.conf.default. An interface that
#         accepted no router advertisements accepts them. One that was not to
#         generate a link-local address (addr_gen_mode none) has one, and sends
#         router solicitations at once. IPv4 keeps its settings.
# Seen:   Linux 6.18.44, iproute2 6.1.0, 2026-11-28
# Source: Linux, net/ipv6/addrconf.c: addrconf_notify on NETDEV_CHANGEMTU, which
#         frees the inet6_dev and creates another with ipv6_add_dev
# Needs:  root, ip
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make a network namespace"
for program in ip unshare; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	exec unshare -n sh "$0" inside
fi
[ -d /proc/sys/net/ipv6 ] || not_tried "there is no IPv6 here"
for name in accept_ra addr_gen_mode; do
	[ -w /proc/sys/net/ipv6/conf/default/$name ] || not_tried "no sysctl can be set here"
done

ip link add d0 type veth peer name p0
echo 1 >/proc/sys/net/ipv6/conf/default/accept_ra
echo 0 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
echo 0 >/proc/sys/net/ipv6/conf/d0/accept_ra
echo 1 >/proc/sys/net/ipv6/conf/d0/addr_gen_mode
echo 1 >/proc/sys/net/ipv4/conf/d0/rp_filter
ip link set p0 up
ip link set d0 up

wrong=0
show() { # when, and the expected values
	values=$(cd /proc/sys/net && cat ipv6/conf/d0/accept_ra ipv6/conf/d0/addr_gen_mode ipv4/conf/d0/rp_filter | tr '\n' ' ')
	addresses=$(ip -6 address show dev d0 | grep -c fe80 || true)
	echo "$1: accept_ra, addr_gen_mode, rp_filter: $values; link-local addresses: $addresses"
	[ "$values$addresses" = "$2" ] || wrong=1
}
show "at first" "0 1 1 0"
ip link set d0 mtu 1279
ip link set d0 mtu 1500
show "after an MTU of 1279" "1 0 1 1"

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
