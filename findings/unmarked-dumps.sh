#!/bin/sh
# A list of IPv6 routes or of rules that changes while it is read loses entries that were there all the time, and carries no mark.
#
# Guess:  netlink(7) and the headers say that a dump which was interrupted by a
#         change carries NLM_F_DUMP_INTR, so that it can be read again; ip(8) then
#         says "Dump was interrupted and may be inconsistent".
# Truth:  dumps of routes and of rules never do, although the kernel only remembers
#         how many entries of a table or of the rules it has handed out: when
#         earlier ones are removed, it skips as many others. (It marks dumps of
#         addresses, but not all that lost some.) A program must listen to the
#         announcements of changes while it reads, and read again if there were any.
# Seen:   Linux 6.18.44, iproute2 6.1.0, 2026-11-29
# Source: Linux, net/ipv6/ip6_fib.c: fib6_dump_table, fib6_walk_continue (w->skip);
#         net/core/fib_rules.c: dump_rules; nl_dump_check_consistent is called by
#         neither; net/ipv6/addrconf.c calls it
# Needs:  root, ip
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make a network namespace"
for program in ip unshare mktemp; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	exec unshare -n sh "$0" inside
fi

folder=$(mktemp -d)
churn=
trap '[ -z "$churn" ] || kill "$churn" 2>/dev/null || true; rm -rf "$folder"' EXIT

ip link set lo up
stable=1500
i=0
while [ $i -lt $stable ]; do
	printf 'route add fd00:%x::/64 dev lo table 77\n' $((i + 256))
	printf 'rule add from 10.9.9.9 table 77 priority %d\n' $((i + 1000))
	i=$((i + 1))
done >"$folder/stable"
ip -batch "$folder/stable" || not_tried "there is no IPv6"

i=0
while [ $i -lt 50 ]; do
	printf '%s fd00:%x::/64 dev lo table 77\n' "route VERB" $i
	printf '%s from 10.8.8.8 table 77 priority %d\n' "rule VERB" $((i + 100))
	i=$((i + 1))
done >"$folder/passing"
sed 's/VERB/add/' "$folder/passing" >"$folder/add"
sed 's/VERB/del/' "$folder/passing" >"$folder/del"
while :; do
	ip -batch "$folder/add"
	ip -batch "$folder/del"
done 2>/dev/null &
churn=$!

wrong=0
read_often() { # until some were lost: what, pattern of a stable entry, expected: lost and marked; then the command
	what=$1 pattern=$2 expected=$3
	shift 3
	lost=no marked=no n=0 end=$(($(date +%s) + 20))
	while [ $n -lt 150 ] || [ $lost = no ] && [ "$(date +%s)" -lt $end ]; do
		n=$((n + 1))
		"$@" >"$folder/list" 2>"$folder/errors" || true
		if grep -qi 'interrupted' "$folder/errors"; then
			marked=yes
		elif [ "$(grep -c "$pattern" "$folder/list")" -lt $stable ]; then
			lost=yes
		fi
	done
	echo "$what, read $n times: some marked as interrupted: $marked; some without a mark lost entries: $lost"
	[ "$marked $lost" = "$expected" ] || wrong=1
}
read_often "IPv6 routes" '^fd00:[1-9a-f][0-9a-f][0-9a-f]' "no yes" ip -6 route show table 77
read_often "rules" 'from 10\.9\.9\.9' "no yes" ip -4 rule show

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
