#!/bin/sh
# Builds the package twice, looks into it, and installs, uses, upgrades, removes and purges it:
# on a copy of this system that exists in a mount namespace only. Needs root, and a Debian.
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
export NFPM="$work/nfpm"
sh nfpm.sh "$NFPM"
sh build.sh "$work/1"
sh build.sh "$work/2"
VERSION=9999~next sh build.sh "$work/3"
cmp "$work"/1/*.deb "$work"/2/*.deb || { echo "two builds differ" >&2; exit 1; }

# All that is in the package: modes, owners and names.
{
	for folder in / /usr/ /usr/bin/ /usr/lib/ /usr/lib/systemd/ /usr/lib/systemd/system/ /usr/share/ \
		/usr/share/bash-completion/ /usr/share/bash-completion/completions/ /usr/share/doc/ /usr/share/doc/wgd/ \
		/usr/share/fish/ /usr/share/fish/vendor_completions.d/ /usr/share/man/ /usr/share/man/man4/ \
		/usr/share/man/man5/ /usr/share/man/man8/ /usr/share/zsh/ /usr/share/zsh/vendor-completions/; do
		echo "drwxr-xr-x root/root .$folder"
	done
	for program in wgd wgd-peers wgconfig wg-ifconfig wg-keygen; do
		echo "-rwxr-xr-x root/root ./usr/bin/$program"
		for file in bash-completion/completions/$program zsh/vendor-completions/_$program \
			fish/vendor_completions.d/$program.fish man/man8/$program.8.gz; do
			echo "-rw-r--r-- root/root ./usr/share/$file"
		done
	done
	for file in share/man/man5/wgd.conf.5.gz share/man/man4/wg.4.gz lib/systemd/system/wgd@.service \
		lib/systemd/system/wgd-peers@.service \
		share/doc/wgd/copyright share/doc/wgd/changelog.gz share/doc/wgd/NEWS.gz; do
		echo "-rw-r--r-- root/root ./usr/$file"
	done
} | sort > "$work/wanted"
dpkg-deb --contents "$work"/1/*.deb | awk '{ print $1, $2, $6 }' | sort > "$work/contents"
diff "$work/wanted" "$work/contents" || { echo "the package has other files (>) than it should have (<)" >&2; exit 1; }

unshare --mount --pid --fork --propagation private sh -eu inside.sh "$work"
echo "the package was installed, used, upgraded, removed and purged"
