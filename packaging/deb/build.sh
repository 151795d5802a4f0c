#!/bin/sh
# Builds the Debian package, in the folder that is given: the same bytes from the same commit
# and the same Go. VERSION, ARCH and SOURCE_DATE_EPOCH may be set, and NFPM to what nfpm.sh built.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
GO=${GO:-go}
umask 022

# The date and the version are those of the commit; where there is no history, they are fixed.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH # nfpm uses it
revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
day=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)
export VERSION="${VERSION:-0~$day.$revision}"
export ARCH="${ARCH:-$($GO env GOARCH)}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TREE="$work/tree"

mkdir -p "$TREE/usr/bin" "$TREE/usr/lib/systemd/system" "$TREE/usr/share/doc/wgd"
# build MODULE PACKAGES GOARCH FOLDER OPTIONS...: wgd-peers is a module of its own.
build() {
	module=$1 packages=$2 arch=$3 folder=$4
	shift 4
	(cd "$module" && CGO_ENABLED=0 GOARCH=$arch $GO build -buildvcs=false "$@" -o "$folder/" "$packages")
}
flags="-s -w -X wgd/internal/cli.version=$VERSION"
build . ./cmd/... "$ARCH" "$TREE/usr/bin" -trimpath -ldflags "$flags"
build cmd/wgd-peers . "$ARCH" "$TREE/usr/bin" -trimpath -ldflags "$flags"
cp packaging/systemd/*.service "$TREE/usr/lib/systemd/system/"

for page in docs/man/*.[1-9]; do
	section=$TREE/usr/share/man/man${page##*.}
	mkdir -p "$section"
	gzip -9n < "$page" > "$section/${page##*/}.gz"
done

# The programs print the completion of the shells. Those for another processor cannot.
programs=$TREE/usr/bin
if [ "$ARCH" != "$($GO env GOHOSTARCH)" ]; then
	programs=$work/programs
	host=$($GO env GOHOSTARCH)
	build . ./cmd/... "$host" "$programs"
	build cmd/wgd-peers . "$host" "$programs"
fi
bash=$TREE/usr/share/bash-completion/completions
zsh=$TREE/usr/share/zsh/vendor-completions
fish=$TREE/usr/share/fish/vendor_completions.d
mkdir -p "$bash" "$zsh" "$fish"
for program in wgd wgd-peers wgconfig wg-keygen wg-ifconfig; do
	"$programs/$program" completion bash > "$bash/$program"
	"$programs/$program" completion zsh > "$zsh/_$program"
	"$programs/$program" completion fish > "$fish/$program.fish"
done

{
	echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
	echo
	echo "Files: *"
	echo "Copyright: 2026 The wgd authors"
	echo "License: BSD-2-Clause"
	sed -n '/^Redistribution/,$s/^$/./; /^Redistribution/,$s/^/ /p' LICENSE
} > "$TREE/usr/share/doc/wgd/copyright"
{
	echo "wgd ($VERSION) unstable; urgency=medium"
	echo
	echo "  * See /usr/share/doc/wgd/NEWS.gz."
	echo
	echo " -- The wgd authors <wgd@localhost>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n > "$TREE/usr/share/doc/wgd/changelog.gz"
gzip -9n < CHANGELOG.md > "$TREE/usr/share/doc/wgd/NEWS.gz"

find "$TREE" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
if [ -z "${NFPM:-}" ]; then
	NFPM=$work/nfpm
	sh packaging/deb/nfpm.sh "$NFPM"
fi
"$NFPM" package --config packaging/deb/nfpm.yaml --packager deb --target "$out/"
