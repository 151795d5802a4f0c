#!/bin/sh
# An IPv6 address with a lifetime that is added while its interface is down never gets its route.
#
# Guess:  the kernel adds the routes of an address when its interface goes up,
#         whatever the address, as it does for IPv4.
# Truth:  for IPv6 it does so for permanent addresses only. An address with a
#         lifetime (valid or preferred, as when a program restores saved
#         addresses) exists when the interface is up, but its network is not
#         reachable. If it has a peer and no duplicate address detection (nodad),
#         the route to the peer is missing. Setting the address again with
#         `ip address replace` adds the route.
# Seen:   Linux 6.18.44, iproute2 6.1.0, 2026-11-28
# Source: Linux, net/ipv6/addrconf.c: addrconf_permanent_addr and
#         fixup_permanent_addr on NETDEV_UP; inet6_addr_modify
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

ip link add d0 type veth peer name p0
ip link set p0 up
lifetime="valid_lft 2000 preferred_lft 1000"
ip address add 10.9.0.1/24 dev d0 $lifetime
ip address add fd00:1::1/64 dev d0 nodad
ip address add fd00:2::1/64 dev d0 nodad $lifetime
ip address add fd00:3::1 peer fd00:3::2/128 dev d0 nodad
ip link set d0 up
sleep 3

wrong=0
show() { # address, destination, expected number of routes
	routes=$(ip -4 route show dev d0 && ip -6 route show dev d0)
	routes=$(echo "$routes" | grep -c "^$2 " || true)
	echo "$1: routes to $2: $routes"
	[ "$routes" = "$3" ] || wrong=1
}
show "IPv4, with a lifetime" 10.9.0.0/24 1
show "IPv6, permanent" fd00:1::/64 1
show "IPv6, with a lifetime" fd00:2::/64 0
show "IPv6, with a peer" fd00:3::2 0
ip address replace fd00:2::1/64 dev d0 nodad $lifetime
ip address replace fd00:3::1 peer fd00:3::2/128 dev d0 nodad
show "the second, set again" fd00:2::/64 1
show "the third, set again" fd00:3::2 1

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
