#!/bin/sh
# keepalived rounds advert_int to a whole second unless vrrp_version is 3, and says so only in its log.
#
# Guess:  advert_int 0.2 is what the manual page says, "VRRP Advert interval in seconds
#         (e.g. 0.92)": five advertisements in a second, with the default settings.
# Truth:  the default is VRRP version 2, whose interval is a whole number of seconds. The
#         configuration test accepts the file, with a line that says "must be an integer.
#         rounding". So a backup takes over after more than 3 seconds, not after 0.7.
# Seen:   keepalived 2.2.7 (Debian 12), 2026-11-30
# Source: keepalived, keepalived/vrrp/vrrp.c, vrrp_complete_instance: "must be an integer. rounding"
# Needs:  root, ip, unshare, keepalived (or KEEPALIVED, with the path of one that is unpacked)
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
program=${KEEPALIVED:-$(command -v keepalived || true)}
[ -x "$program" ] || not_tried "there is no keepalived: install it, or set KEEPALIVED to its path"
[ "$(id -u)" = 0 ] || not_tried "this needs root, to make a network namespace"
for needed in ip unshare; do
	command -v $needed >/dev/null || not_tried "there is no $needed"
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 2 3; do
	cat >"$folder/$version.conf" <<END
global_defs {
    vrrp_version $version
}
vrrp_instance one {
    interface d0
    state BACKUP
    virtual_router_id 51
    priority 100
    advert_int 0.2
    virtual_ipaddress {
        192.0.2.100/24
    }
}
END
done

wrong=0
show() { # version, and whether a line about rounding is expected
	said=$(unshare -n sh -c "ip link add d0 type veth peer name d1; ip link set d0 up; '$program' --config-test='$folder/$1.log' -f '$folder/$1.conf'; cat '$folder/$1.log'" 2>&1 || true)
	rounds=no
	case $said in *"must be an integer"*) rounds=yes ;; esac
	echo "vrrp_version $1: rounds: $rounds"
	[ $rounds = "$2" ] || wrong=1
}
show 2 yes
show 3 no

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
