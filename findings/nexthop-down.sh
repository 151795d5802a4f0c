#!/bin/sh
# A nexthop object is deleted when its interface goes down and does not return; a route's own nexthop does.
#
# Guess:  when an interface goes down, its nexthop object is dead, like the nexthop
#         of a multipath route, and alive again when the interface is up; or at
#         least it stays in its group.
# Truth:  the object is deleted and removed from its groups, and so are routes that
#         had no other nexthop. They do not return when the interface is up: a group
#         of two is then a group of one, without a message. In a multipath route
#         without objects, the nexthop is dead, and then alive again.
# Seen:   Linux 6.18.44, iproute2 6.1.0, 2026-11-28
# Source: Linux, net/ipv4/nexthop.c: nh_netdev_event on NETDEV_DOWN; net/ipv4/
#         fib_semantics.c: fib_sync_up
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

for i in 0 1; do
	ip link add d$i type veth peer name p$i
	ip address add 10.9.$i.1/24 dev d$i
	ip link set p$i up
	ip link set d$i up
done
ip nexthop add id 10 via 10.9.0.2 dev d0 || not_tried "this kernel has no nexthop objects"
ip nexthop add id 11 via 10.9.1.2 dev d1
ip nexthop add id 20 group 10/11
ip route add 10.1.0.0/16 nhid 10
ip route add 10.2.0.0/16 nhid 20
ip route add 10.3.0.0/16 nexthop via 10.9.0.2 dev d0 nexthop via 10.9.1.2 dev d1

wrong=0
show() { # when, and the expected objects, group and routes
	objects=$(ip nexthop show dev d0 | wc -l)
	group=$(ip nexthop show id 20)
	alone=$(ip route show 10.1.0.0/16 | wc -l)
	plain=$(ip route show 10.3.0.0/16 | grep 'dev d0' | grep -vc dead || true)
	echo "$1: objects of d0: $objects; $group; its own route: $alone; alive in the plain route: $plain"
	[ "$objects, $group, $alone, $plain" = "$2" ] || wrong=1
}
show "d0 is up" "1, id 20 group 10/11 , 1, 1"
ip link set d0 down
show "d0 is down" "0, id 20 group 11 , 0, 0"
ip link set d0 up
show "d0 is up again" "0, id 20 group 11 , 0, 1"

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
