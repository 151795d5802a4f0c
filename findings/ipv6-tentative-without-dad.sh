#!/bin/sh
# An IPv6 address on an interface without ARP, where nothing looks for duplicates, is tentative for a moment all the same.
#
# Guess:  the kernel does no duplicate address detection on an interface without ARP
#         (TUN, GRE, and the like), so an address can be used as soon as `ip link
#         set up` has returned, as with nodad. wg-quick counts on it.
# Truth:  the kernel leaves it to a work queue to find out that nothing is to be
#         done. Until then the address is tentative, and bind(2) to it fails with
#         EADDRNOTAVAIL. How often a program that comes right after sees that
#         depends on how busy the processors are: a few times in a hundred. An
#         address that was added with nodad never is tentative.
# Seen:   Linux 6.18.44, iproute2 6.1.0, 2026-11-29
# Source: Linux, net/ipv6/addrconf.c: addrconf_dad_start and addrconf_dad_work;
#         addrconf_dad_begin, which tests IFF_NOARP
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

# attempt FLAG: reports whether an address is tentative when its interface is up.
attempt() {
	ip link add d0 type veth peer name p0
	ip link set d0 arp off
	ip link set p0 up
	ip address add fd00::1/64 dev d0 $1
	ip link set d0 up
	shown=$(ip -6 address show dev d0 tentative to fd00::/64)
	ip link delete d0
	[ -n "$shown" ]
}

plain=0 nodad=0 tries=0
end=$(($(date +%s) + 20))
while [ $plain -lt 3 ] && [ "$(date +%s)" -lt $end ]; do
	tries=$((tries + 1))
	attempt "" && plain=$((plain + 1))
	attempt nodad && nodad=$((nodad + 1))
done
echo "of $tries addresses each, tentative: $plain without nodad, $nodad with it"
if [ $nodad -gt 0 ]; then
	echo "An address with nodad was tentative: it is no longer so."
	exit 1
fi
[ $plain -gt 0 ] || not_tried "the kernel was faster than ip(8) each time"
echo "It is still so."
