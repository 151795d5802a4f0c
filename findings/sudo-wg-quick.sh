#!/bin/sh
# wg-quick, if started by an ordinary user, loses WG_QUICK_USERSPACE_IMPLEMENTATION when it calls sudo.
#
# Guess:  `WG_QUICK_USERSPACE_IMPLEMENTATION=mine wg-quick up wg0` starts mine if the
#         kernel has no WireGuard, whoever types it: wg-quick itself becomes root,
#         with sudo, and wg-quick(8) documents the variable.
# Truth:  sudo resets the environment, and wg-quick passes nothing on. As root it
#         starts wireguard-go if that is installed, although another program was
#         named. Otherwise it ends with the message of ip only, "Unknown device
#         type". `sudo WG_QUICK_USERSPACE_IMPLEMENTATION=mine wg-quick up wg0`
#         starts mine, if sudoers allows the user everything.
# Seen:   wireguard-tools 1.0.20210914, sudo 1.9.13p3 as configured by Debian 12,
#         2026-11-28
# Source: wg-quick, auto_su; sudoers(5), env_reset and SETENV
# Needs:  root, a kernel without WireGuard, wg-quick, overlayfs; sudo, or apt-get
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
[ "$(id -u)" = 0 ] || not_tried "this needs root, to have an ordinary user in a namespace"
for program in wg-quick ip unshare setpriv; do
	command -v $program >/dev/null || not_tried "there is no $program"
done
if [ "${1-}" != inside ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	chmod 755 "$dir"
	if ! command -v sudo >/dev/null; then
		(cd "$dir" && apt-get -q download sudo=1.9.13p3-1+deb12u4 && dpkg -x sudo_*.deb root) >/dev/null 2>&1 ||
			not_tried "there is no sudo, and its package cannot be downloaded: try apt-get update"
	fi
	unshare -n -m sh "$0" inside "$dir"
	exit 0
fi
dir=$2
if ip link add wgtry type wireguard 2>/dev/null; then
	not_tried "this kernel has WireGuard, so wg-quick starts no program"
fi

# In this mount namespace only: sudo, its rules, and wg-quick's configuration file.
mkdir -p "$dir/root/usr/bin" "$dir/root/etc/wireguard" "$dir/bin"
printf '%s\n' 'Defaults env_reset' "Defaults secure_path=\"/usr/sbin:/usr/bin:/sbin:/bin:$dir/bin\"" 'nobody ALL=(ALL:ALL) NOPASSWD: ALL' \
	>"$dir/root/etc/sudoers"
chmod 440 "$dir/root/etc/sudoers"
(umask 077 && printf '[Interface]\n' >"$dir/root/etc/wireguard/wgtry.conf")
mount -t overlay overlay -o "lowerdir=$dir/root/usr:/usr" /usr || not_tried "there is no overlayfs"
mount -t overlay overlay -o "lowerdir=$dir/root/etc:/etc" /etc

program() { # creates a program for wg-quick that only prints that it was started
	printf '#!/bin/sh\necho "%s was started"\nexit 1\n' "$1" >"$dir/bin/$1"
	chmod 755 "$dir/bin/$1"
}
wrong=0
expect() { # situation, expected words of the output, command of the user
	what=$1 words=$2
	shift 2
	output=$(as_user env PATH="$PATH:$dir/bin" "$@" 2>&1) || true
	echo "$what:"
	echo "$output" | sed 's/^/    /'
	case $output in *"$words"*) ;; *) wrong=1 ;; esac
}

as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
as_user sudo -n true 2>/dev/null || not_tried "sudo does not work here"
if PATH="$PATH:$dir/bin" command -v wireguard-go mine >/dev/null; then
	not_tried "there is a wireguard-go, or a program named mine"
fi

program mine
expect "mine is named, and there is no wireguard-go" "Unknown device type" \
	WG_QUICK_USERSPACE_IMPLEMENTATION=mine wg-quick up wgtry
case $output in *mine*) wrong=1 ;; esac
program wireguard-go
expect "mine is named, and there is a wireguard-go" "wireguard-go was started" \
	WG_QUICK_USERSPACE_IMPLEMENTATION=mine wg-quick up wgtry
expect "mine is named to sudo" "mine was started" \
	sudo WG_QUICK_USERSPACE_IMPLEMENTATION=mine wg-quick up wgtry

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
