#!/bin/sh
# A command of ExecReload= cannot read the credentials of its service.
#
# Guess:  all commands of a unit with LoadCredential= can read $CREDENTIALS_DIRECTORY:
#         systemd.exec(5) says that the unit's processes can.
# Truth:  only the main process can. In 252, ExecReload= has the variable, but if the
#         unit has a mount namespace (ProtectSystem= and many others), /run/credentials
#         is an empty folder without permissions there. So a daemon whose reload command
#         reads a key fails as soon as the unit is hardened. In 257, ExecReload= does not
#         have the variable, hardened or not. The command can look at the main process
#         by $MAINPID: environ and root in its folder of /proc have both.
# Seen:   systemd 252.38 (Debian 12) and 257.13 (Debian 13), 2026-11-29
# Source: https://github.com/systemd/systemd/issues/35227; src/core/service.c:
#         service_exec_flags
# Needs:  root, systemd, nsenter, a cgroup of version 2. A systemd of its own runs in
#         namespaces; that of this machine, if there is one, is left alone.
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to start a systemd"
systemd=/usr/lib/systemd/systemd
[ -x $systemd ] || not_tried "there is no $systemd"
for program in unshare nsenter systemctl; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	exec unshare --mount --net --uts sh "$0" inside
fi
mount -t tmpfs none /run
mount -t cgroup2 none /sys/fs/cgroup || not_tried "there is no cgroup of version 2"
group=/sys/fs/cgroup/finding-$$
mkdir $group || not_tried "no cgroup can be made"
clean() { # ends all that runs in the cgroup: the systemd, and what it started
	echo 1 >$group/cgroup.kill
	tries=0
	until find $group -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries = 100 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
}
trap clean EXIT

mkdir /run/units
for name in sysinit basic shutdown umount multi-user; do
	printf '[Unit]\nDefaultDependencies=no\n' >/run/units/$name.target
done
umask 077
echo secret >/run/key
for name in plain hardened; do
	cat >/run/units/$name.service <<-UNIT
		[Service]
		ExecStart=sh -c 'cat \$CREDENTIALS_DIRECTORY/key >/run/$name.start; exec sleep 1000'
		ExecReload=sh -c 'echo \${CREDENTIALS_DIRECTORY:-nothing} >/run/$name.folder; cat \$CREDENTIALS_DIRECTORY/key >/run/$name.reload 2>&1'
		LoadCredential=key:/run/key
	UNIT
done
echo ProtectSystem=yes >>/run/units/hardened.service
# All of /proc/sys is read-only for it, and it mounts nothing that is seen outside.
cat >/run/boot <<'BOOT'
umount /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
for folder in /etc/systemd /usr/lib/systemd/system-generators; do
	mount -t tmpfs none $folder
done
mount --make-rshared /
exec env -i container=finding PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH=/run/units \
	/usr/lib/systemd/systemd --system --unit=multi-user.target --show-status=no
BOOT
(
	echo 0 >$group/cgroup.procs
	exec unshare --mount --pid --fork --mount-proc --cgroup sh -eu /run/boot
) </dev/null >/run/log 2>&1 &
tries=0
until pid=$(cat $group/init.scope/cgroup.procs 2>/dev/null | head -n 1) && [ -n "$pid" ] &&
	nsenter -t "$pid" -m -p -C -- systemctl is-active multi-user.target >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 200 ] || not_tried "systemd does not start: $(cat /run/log)"
	sleep 0.1
done
control() { nsenter -t "$pid" -m -p -C -- systemctl "$@"; }

$systemd --version | head -n 1
try() { # a unit
	control start "$1"
	tries=0
	until [ -s "/run/$1.start" ] || [ $tries = 100 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
	control reload "$1" 2>/dev/null || true
	echo "$1: the main process reads: $(cat "/run/$1.start")"
	echo "$1: ExecReload is told $(cat "/run/$1.folder"), and reads: $(cat "/run/$1.reload")"
}
try plain
try hardened

if ! grep -q secret /run/hardened.start || grep -q secret /run/hardened.reload; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
