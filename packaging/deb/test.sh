#!/bin/sh
# Builds the package twice, and installs, uses, upgrades, removes and purges it: on a copy of
# this system that exists in a mount namespace only. Needs root, and a Debian.
set -eu
cd "$(dirname "$0")"
lack=
[ "$(id -u)" = 0 ] || lack="root"
command -v dpkg >/dev/null || lack="dpkg"
if [ -n "$lack" ]; then
	echo "NOT TESTED: the Debian package: there is no $lack" >&2
	[ "${CI:-}" != true ]
	exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh build.sh "$work/1"
sh build.sh "$work/2"
VERSION=9999~next sh build.sh "$work/3"
cmp "$work"/1/*.deb "$work"/2/*.deb || { echo "two builds differ" >&2; exit 1; }
unshare --mount --pid --fork --propagation private sh -eu inside.sh "$work"
echo "the package was installed, used, upgraded, removed and purged"
