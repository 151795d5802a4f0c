#!/bin/sh
# Installs the programs that the tests call, apart from Go. `make setup` and `make test` run it
# first. As root on Debian and its derivatives it installs the packages that are missing. Elsewhere
# it prints what is missing. The tests that need it are left out, and say so. With CI=true it fails
# if anything is missing. Packages that would change how this system looks up names, or would start
# a service, are not installed, but unpacked in a folder of the cache, for simulated hosts.
set -eu
PATH=$PATH:${SBIN=/usr/sbin:/sbin} # Debian has some of them there, but other users than root not in PATH

cache=/var/cache/wgd-tests

# This is the only list: a Debian package, a program or file of it, and what needs it.
needed='
make            make                  to run the parts of the tests
git             git                   the check of commit messages
gcc             gcc                   the race detector
libc6-dev       /usr/include/stdio.h  the race detector
iproute2        ip                    networks of simulated hosts
iproute2        tc                    slow links
iproute2        ss                    to look at sockets
iputils-ping    ping                  pings between simulated hosts
procps          sysctl                settings of simulated hosts
util-linux      nsenter               to run programs on simulated hosts
util-linux      setpriv               users without privileges
util-linux      unshare               users without privileges
nftables        nft                   routers with NAT
iptables        iptables              the firewall rules of wg-quick
conntrack       conntrack             routers that forget a connection
wireguard-tools wg                    the control socket, as others use it
wireguard-tools wg-quick              the control socket, as others use it
dbus-daemon     dbus-daemon           the bus of systemd-resolved
groff           groff                 the form of the manual pages
systemd         systemd-analyze       the form of the unit
systemd         /usr/lib/systemd/systemd  the unit, as a service
mandoc          mandoc                the form of the manual pages
zsh             zsh                   shell completion
fish            fish                  shell completion
qemu-user       qemu-aarch64          tests as if on other processors
qemu-user       qemu-x86_64           tests as if on other processors
curl            curl                  programs that use wgd proxy
openssh-client  ssh                   programs that use wgd proxy
openssh-client  ssh-keygen            programs that use wgd proxy
dropbear-bin    dropbear              programs that use wgd proxy: the server of ssh
python3-socks   /usr/lib/python3/dist-packages/socks.py  programs that use wgd proxy: UDP
tshark          tshark                reads what wgd capture writes
wireshark-common capinfos              reads what wgd capture writes
tmux            tmux                  a terminal for wgd top
chromium        chromium              programs that use wgd proxy, and the page of wgd web
openresolv      /var/cache/wgd-tests/openresolv/sbin/resolvconf  name servers of tunnels
resolvconf      /var/cache/wgd-tests/resolvconf/sbin/resolvconf  name servers of tunnels
prometheus         /var/cache/wgd-tests/prometheus/usr/bin/promtool  what reads the metrics, and its tool
systemd-resolved   /var/cache/wgd-tests/systemd-resolved/usr/bin/resolvectl  name servers of tunnels
bird2              /var/cache/wgd-tests/bird2/usr/sbin/bird  gateways that announce their peers
libssh-gcrypt-4    /usr/share/doc/libssh-gcrypt-4/copyright  a library of bird
keepalived         /var/cache/wgd-tests/keepalived/usr/sbin/keepalived  an address that moves between gateways
libsnmp40          /usr/share/doc/libsnmp40/copyright  a library of keepalived
libnl-genl-3-200   /usr/share/doc/libnl-genl-3-200/copyright  a library of keepalived
libsystemd-shared  /var/cache/wgd-tests/libsystemd-shared/usr/share/doc/libsystemd-shared/copyright  the library of systemd-resolved
'

# missing prints the lines of the list whose program or file is missing.
missing() {
	echo "$needed" | while read -r package probe purpose; do
		case $probe in
		'') ;;
		/*) [ -e "${ROOT-}$probe" ] || echo "$package $probe $purpose" ;;
		*) command -v "$probe" >/dev/null || echo "$package $probe $purpose" ;;
		esac
	done
}

# named prints the packages of the missing lines that are to be installed, or unpacked.
named() {
	names=$(echo "$lines" | while read -r package probe purpose; do
		case $probe in
		"$cache"/*) [ "$1" = installed ] || echo "$package" ;;
		*) [ "$1" = unpacked ] || echo "$package" ;;
		esac
	done | sort -u | tr '\n' ' ')
	echo "${names% }"
}

# unpack downloads packages and unpacks each in a folder of the cache.
unpack() {
	for package in "$@"; do
		mkdir -p "${ROOT-}$cache/$package"
		(cd "${ROOT-}$cache/$package" && apt-get download -q "$package" && dpkg-deb -x ./*.deb . && rm ./*.deb) || return
	done
}

lines=$(missing)
[ -n "$lines" ] || exit 0
packages=$(named installed)
unpacked=$(named unpacked)
debian=$(command -v apt-get || true)

if [ -n "$debian" ] && [ "$(id -u)" = 0 ]; then
	echo "installing what the tests call: $packages${packages:+ }${unpacked:+(unpacking $unpacked)}"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # each package is a word
	if apt-get update -q && { [ -z "$packages" ] || apt-get install -q -y --no-install-recommends $packages; } && unpack $unpacked; then
		lines=$(missing)
		[ -n "$lines" ] || exit 0
	fi
fi

{
	echo "The tests call some programs that are not installed here:"
	echo "$lines" | while read -r package probe purpose; do
		printf '    %-21s %s (package %s)\n' "$probe" "$purpose" "$package"
	done
	if [ -n "$debian" ]; then
		[ -z "$packages" ] || echo "To install them, as root: apt-get install $packages"
		[ -z "$unpacked" ] || echo "To unpack $unpacked, as root: sh test/setup.sh"
	else
		echo "The package names are Debian's. Install the same programs from the packages of your system."
	fi
	echo "The tests that need them are left out; each of them says so."
} >&2
[ "${CI:-}" != true ]
