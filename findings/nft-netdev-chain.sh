#!/bin/sh
# A netdev chain of nftables belongs to the name of an interface, not to the interface.
#
# Guess:  a chain with `hook ingress device "t0"` belongs to the interface t0. It
#         cannot be loaded before t0 exists. It loses its device when t0 is
#         deleted, so it filters nothing when t0 is created again. It stays with
#         the interface when that is renamed. nft(8) does not mention this, and
#         the source of kernels before 6.16 suggests it (none of them was tried).
# Truth:  it belongs to the name. It can be loaded before t0 exists, it filters
#         again as soon as there is a new t0, and it no longer filters an interface
#         that was renamed: all packets pass from then on.
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
expect() { # situation, and whether ping passes or is filtered
	if nsenter -t $other -n ping -n -q -c 3 -i 0.2 -W 1 10.9.0.1 >/dev/null; then now=passes; else now=filtered; fi
	echo "$1: ping $now"
	[ $now = "$2" ] || wrong=1
}

connect
expect "no chain" passes
ip link delete t0

nft 'table netdev demo { chain in { type filter hook ingress device "t0" priority 0; ip protocol icmp drop; }; }' || exit 1
echo "there is no t0, but the chain can be loaded"
connect
expect "t0 created after the chain" filtered
ip link delete t0
connect
expect "t0 deleted and created again" filtered
ip link set t0 name t9
expect "t0 renamed to t9" passes
ip link set t9 name t0
expect "t9 renamed to t0" filtered

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
