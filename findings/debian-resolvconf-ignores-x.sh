#!/bin/sh
# Debian's resolvconf ignores -x and -m, and succeeds also where nothing reads what it writes.
#
# Guess:  `resolvconf -a tun.wg0 -m 0 -x`, as wg-quick calls it, makes the given name
#         servers those that are asked before (-m 0) and instead of (-x) others, or
#         fails.
# Truth:  That is openresolv's. Debian's resolvconf does not read arguments after the
#         interface: the name servers of other interfaces stay in the file, and are
#         asked when the first one does not answer. If /etc/resolv.conf is no link
#         to its file, it prints a warning and exits with 0; if its updates are not
#         enabled, it writes nothing, says nothing, and exits with 0. Names then go
#         beside the tunnel.
# Seen:   resolvconf 1.91+nmu1, Debian 12, 2026-11-29
# Source: /sbin/resolvconf and /etc/resolvconf/update.d/libc of the package; resolvconf(8)
# Needs:  root, overlayfs, and apt-get with its package lists
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, for a mount namespace with the package in it"
for program in unshare mountpoint apt-get dpkg-deb run-parts; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	chmod 755 "$dir"
	(cd "$dir" && apt-get -q download resolvconf=1.91+nmu1 && dpkg-deb -x resolvconf_*.deb root) >/dev/null 2>&1 ||
		not_tried "the package cannot be downloaded: try apt-get update"
	unshare -m sh "$0" inside "$dir"
	exit 0
fi
root=$2/root
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/upper /run/work
mount -t overlay none -o "lowerdir=$root/etc:/etc,upperdir=/run/upper,workdir=/run/work" /etc
mount -t overlay none -o "lowerdir=$root/lib:/usr/lib" /usr/lib
for path in /etc /usr/lib /run; do
	mountpoint -q $path || not_tried "$path could not be mounted"
done

failed=0
# shows NAME WANTED: what /etc/resolv.conf has
shows() {
	got=$(sed -n 's/^nameserver //p' /etc/resolv.conf | tr '\n' ' ')
	echo "$1: /etc/resolv.conf has ${got:-no name server}"
	[ "$got" = "$2" ] || failed=1
}
tunnel() {
	status=0
	echo nameserver 10.2.0.1 | "$root/sbin/resolvconf" -a tun.wg0 -m 0 -x || status=$?
	echo "resolvconf -a tun.wg0 -m 0 -x: exit status $status"
	[ $status = 0 ] || failed=1
}

rm -f /etc/resolv.conf
mkdir -p /run/resolvconf/interface
ln -s ../run/resolvconf/resolv.conf /etc/resolv.conf
"$root/sbin/resolvconf" --enable-updates
echo nameserver 192.0.2.53 | "$root/sbin/resolvconf" -a eth0.inet
shows "in charge, before" "192.0.2.53 "
tunnel
shows "in charge" "10.2.0.1 192.0.2.53 "
"$root/sbin/resolvconf" -d tun.wg0 -f

"$root/sbin/resolvconf" --disable-updates
tunnel
shows "updates are not enabled" "192.0.2.53 "
"$root/sbin/resolvconf" -d tun.wg0 -f
"$root/sbin/resolvconf" --enable-updates

rm /etc/resolv.conf
echo nameserver 192.0.2.53 >/etc/resolv.conf
tunnel
shows "/etc/resolv.conf is no link" "192.0.2.53 "
if [ $failed = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
