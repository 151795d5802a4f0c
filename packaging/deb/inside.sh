# test.sh runs this in a mount namespace: sh -eu inside.sh FOLDER, with the packages in FOLDER/1
# and FOLDER/3. All that dpkg writes goes to a file system in memory.
work=$1
mkdir "$work/memory"
mount -t tmpfs none "$work/memory"
cd "$work/memory"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
mount -t proc none root/proc
mkdir -p root/etc/wireguard
# Any other name may be taken: a machine had a folder /check.
here=$(mktemp -d root/wgd-deb.XXXXXXXX)
cp "$work"/1/*.deb "$here/old.deb"
cp "$work"/3/*.deb "$here/new.deb"
cat > "$here/check" <<'EOF'
set -eu
here=$1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# A container image may leave out documentation; this package is to be installed whole.
rm -f /etc/dpkg/dpkg.cfg.d/*
# Nor is an index of all manual pages needed, which takes longer than the rest.
ln -sf /bin/true /usr/bin/mandb
dpkg --purge wgd >/dev/null 2>&1 || true
umask 077
echo "[Interface]" > /etc/wireguard/wg9.conf
files() { find /etc /opt /srv /usr -xdev ! -type d | sort; }
rm -rf /var/lib/wgd
files > "$here/before"
dpkg -i "$here/old.deb"
key=$(/usr/bin/wg-keygen)
echo "PrivateKey = $key" >> /etc/wireguard/wg9.conf
/usr/bin/wgd check wg9
/usr/bin/wgd --version
dpkg -L wgd | while read -r file; do
	test -s "$file" || { echo "$file is missing, or empty" >&2; exit 1; }
done
[ -z "$(dpkg-query -W -f '${Conffiles}' wgd)" ]
dpkg -V wgd
dpkg -i "$here/new.deb"
[ "$(dpkg-query -W -f '${Version}' wgd)" = 9999~next ]
case $(/usr/bin/wgd --version) in *9999~next*) ;; *) echo "the program is not the new one" >&2; exit 1 ;; esac
mkdir -p /var/lib/wgd
touch /var/lib/wgd/wg9.stamps
dpkg --remove wgd
test -e /var/lib/wgd/wg9.stamps
/usr/bin/true > /var/lib/wgd/peers.db
dpkg --purge wgd
test -e /var/lib/wgd/peers.db
rm /var/lib/wgd/peers.db
rmdir /var/lib/wgd # nothing else is left
grep -q "$key" /etc/wireguard/wg9.conf
files > "$here/after"
diff "$here/before" "$here/after"
test ! -e /var/lib/wgd
EOF
chroot root /bin/sh "${here#root}/check" "${here#root}"
