#!/bin/sh
# nft accepts `udp sport set numgen inc mod 100 offset 5000`, and the port becomes 0.
#
# Guess:  the statement gives datagrams the source ports 5000 to 5099 in turn, as a NAT
#         does that changes the port each time; or nft refuses it.
# Truth:  nft loads and lists the rule as it was written, and every datagram leaves with
#         source port 0: the number is in the wrong byte order, or in the wrong part of
#         the register. A map gives the ports:
#         `udp sport set numgen inc mod 2 map { 0 : 5000, 1 : 5001 }`.
# Seen:   nftables 1.0.6, of Debian 12, with Linux 6.18.44, x86-64, 2026-11-29; 1.1.3
#         refuses the rule: "datatype mismatch"
# Source: nft(8), NUMGEN EXPRESSION, which names no type; nftables, src/evaluate.c:
#         byteorder_conversion
# Needs:  root, nft, ip, bash
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make a network namespace"
for program in nft ip bash unshare; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	exec unshare -n sh "$0" inside
fi

ip link set lo up
wrong=0
try() { # a statement, and which ports are expected: 0, 5000-5001 or other
	nft flush ruleset
	nft -f - <<-RULES || { echo "udp sport set $1: refused" && wrong=1 && return; }
		table ip t {
			chain c {
				type filter hook output priority 0
				udp dport 4444 udp sport set $1
			}
			chain count {
				type filter hook output priority 10
				udp dport 4444 udp sport 0 counter comment "0"
				udp dport 4444 udp sport 5000-5001 counter comment "5000-5001"
				udp dport 4444 udp sport != { 0, 5000-5001 } counter comment "other"
			}
		}
	RULES
	for _ in 1 2 3 4; do
		bash -c 'echo >/dev/udp/127.0.0.1/4444' 2>/dev/null || true
	done
	ports=$(nft list chain ip t count | sed -n 's/.*counter packets [1-9][0-9]* .*comment "\(.*\)"/\1/p')
	echo "udp sport set $1: the source ports are $ports"
	[ "$ports" = "$2" ] || wrong=1
}
try '5000' 5000-5001
try 'numgen inc mod 2 map { 0 : 5000, 1 : 5001 }' 5000-5001
try 'numgen inc mod 2 offset 5000' 0
try 'numgen random mod 2 offset 5000' 0

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
