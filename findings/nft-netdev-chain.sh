#!/bin/sh
# A netdev chain of nftables belongs to a name, not to the interface it was made for.
#
# Guess:  a chain with `hook ingress device "t0"` is tied to the interface t0. It
#         cannot be loaded before t0 exists, it loses its device when t0 is
#         deleted, so that it filters nothing when t0 is made anew, and it stays
#         with the interface when that is renamed. nft(8) says nothing of
#         this, and kernels before 6.16 are written so (none of them was tried).
# Truth:  it is tied to the name. It can be loaded before there is a t0, it
#         filters again as soon as there is a new t0, and an interface that is
#         renamed leaves the chain at once: from then on all its packets pass.
# Seen:   Linux 6.18.44, nftables 1.0.6, 2026-11-28
# Source: Linux 6.16, net/netfilter/nft_chain_filter.c: nf_tables_netdev_event
#         handles NETDEV_REGISTER and NETDEV_CHANGENAME
# Needs:  root, nft, ip, ping
set -eu

if [ "$(id -u)" != 0 ]; then
	echo "NOT TRIED: this needs root, to make network namespaces" >&2
	exit 77
fi
for program in nft ip ping nsenter unshare; do
	command -v $program >/dev/null || { echo "NOT TRIED: there is no $program" >&2 && exit 77; }
done
if [ "${1-}" != inside ]; then
	exec unshare -n sh "$0" inside
fi

unshare -n sleep 50 & # the other host
other=$!
trap 'kill $other' EXIT
while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.1; done

connect() {
	ip link add t0 type veth peer name t1
	ip link set t1 netns $other
	ip address add 10.9.0.1/24 dev t0
	ip link set t0 up
	nsenter -t $other -n sh -c 'ip address add 10.9.0.2/24 dev t1 && ip link set t1 up'
}

wrong=0
expect() { # what, passes or filtered
	if nsenter -t $other -n ping -n -q -c 3 -i 0.2 -W 1 10.9.0.1 >/dev/null; then now=passes; else now=filtered; fi
	echo "$1: ping $now"
	[ $now = "$2" ] || wrong=1
}

connect
expect "no chain" passes
ip link delete t0

nft 'table netdev demo { chain in { type filter hook ingress device "t0" priority 0; ip protocol icmp drop; }; }' || exit 1
echo "there is no t0: the chain can be loaded all the same"
connect
expect "t0 made after the chain" filtered
ip link delete t0
connect
expect "t0 deleted and made anew" filtered
ip link set t0 name t9
expect "t0 renamed to t9" passes
ip link set t9 name t0
expect "and back" filtered

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
