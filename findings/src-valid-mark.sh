#!/bin/sh
# src_valid_mark=1 alone does not make rp_filter=1 accept replies to marked packets.
#
# Guess:  a host sends the packets of a program past a default route by their mark
#         (ip rule add not fwmark 1 table 7). With rp_filter=1 the replies are
#         dropped, because the reverse route, which is looked up without a mark, is
#         the other one. With src_valid_mark=1 the lookup uses the mark, so they
#         pass: this is the sysctl that all instructions name and wg-quick sets.
# Truth:  a reply has no mark, so it is dropped as before. Two rules of nft (or
#         iptables) have to copy the mark of the connection to the reply, and
#         src_valid_mark=1 is needed as well: neither is enough without the other.
#         rp_filter=2 is enough alone.
# Seen:   Linux 6.18.44, nftables 1.0.6, 2026-11-28
# Source: Linux, net/ipv4/fib_frontend.c: __fib_validate_source uses the mark of
#         the received packet; wg-quick, add_default
# Needs:  root, ip, nft, ping, sysctl
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make network namespaces"
for program in ip nft ping sysctl nsenter unshare; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	exec unshare -n sh "$0" inside
fi

unshare -n sleep 50 & # the other host
other=$!
trap 'kill $other' EXIT
while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.1; done

ip link add e0 type veth peer name e1
ip link set e1 netns $other
nsenter -t $other -n sh -c 'ip link set lo up && ip address add 198.51.100.1/32 dev lo &&
	ip address add 192.0.2.1/24 dev e1 && ip link set e1 up'
ip address add 192.0.2.2/24 dev e0
ip link set e0 up
ip route add default via 192.0.2.1
ip link add tunnel type veth peer name end # in place of a tunnel for all other packets
ip link set tunnel up
ip link set end up
ip route add default dev tunnel table 7
ip rule add not fwmark 1 table 7
ip rule add table main suppress_prefixlength 0
sysctl -qw net.ipv4.conf.e0.rp_filter=0

wrong=0
expect() { # rp_filter, src_valid_mark, and whether the reply passes or is lost
	sysctl -qw net.ipv4.conf.all.rp_filter="$1" net.ipv4.conf.all.src_valid_mark="$2"
	if ping -n -q -c 3 -i 0.2 -W 1 -m 1 198.51.100.1 >/dev/null; then now=passes; else now=lost; fi
	echo "rp_filter=$1, src_valid_mark=$2, $rules: the reply: $now"
	[ $now = "$3" ] || wrong=1
}
rules="no rules"
expect 0 0 passes
expect 1 0 lost
expect 1 1 lost
expect 2 0 passes
nft -f - <<'EOF'
table inet marks {
	chain save {
		type filter hook postrouting priority mangle;
		meta mark 1 ct mark set meta mark
	}
	chain restore {
		type filter hook prerouting priority mangle;
		ct mark 1 meta mark set ct mark
	}
}
EOF
rules="two rules"
expect 1 0 lost
expect 1 1 passes

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
