#!/bin/sh
# Compiles what the library and the commands consist of, with their tests, for every system and
# processor that they should run on, and vets it there. The rooms below test need Linux, so they
# are left out on other systems.
# The compiler does not optimize, which takes half the time.
set -eu
cd "$(dirname "$0")/.."
go="${GO:-go}"
export CGO_ENABLED=0
status=0
# Without PLATFORMS, a few that differ most: three systems, and the other order of bytes.
# `make narrow` and `make processors` have more processors.
some='darwin/arm64 windows/amd64 openbsd/amd64 linux/mips64'
more='darwin/amd64 linux/amd64 windows/arm64 freebsd/amd64 freebsd/arm64 openbsd/arm64 netbsd/amd64 netbsd/arm64 linux/arm64 linux/arm linux/386 linux/riscv64'
platforms="${PLATFORMS:-$some}"
test "$platforms" != all || platforms="$some $more"
for platform in $platforms; do
	export GOOS="${platform%/*}" GOARCH="${platform#*/}"
	packages=$("$go" list ./...)
	test "$GOOS" = linux || packages=$(echo "$packages" | grep -v '^wgd/test/')
	if "$go" vet -gcflags='all=-N -l' $packages; then
		echo "ok      $platform"
	else
		echo "FAILED  $platform"
		status=1
	fi
done
exit $status
