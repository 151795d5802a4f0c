#!/bin/sh
# Some code is chosen by the features of the processor. This builds it for arm64 and
# 386, and runs the tests of its rooms on arm64 and on older amd64 processors, which
# qemu simulates. (qemu has no AVX-512.)
set -eu
cd "$(dirname "$0")/.."
go="${GO:-go}"
rooms='./internal/aead ./internal/packet ./internal/x25519'
export CGO_ENABLED=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for arch in arm64 386; do
	GOARCH=$arch "$go" build -o /dev/null ./cmd/...
	GOARCH=$arch "$go" vet $rooms
done
GOARCH=386 "$go" test $rooms

for qemu in qemu-aarch64 qemu-x86_64; do
	if ! command -v "$qemu" >/dev/null; then
		echo "NOT TESTED: other processors, because $qemu is missing: install qemu-user"
		[ "${CI:-}" != true ] || exit 1
		exit 0
	fi
done
GOARCH=arm64 "$go" test -exec qemu-aarch64 $rooms
# The room, a processor, the kernel that it should choose, and the tests to run.
while IFS='|' read -r room cpu kernel tests; do
	"$go" test -exec "qemu-x86_64 -cpu $cpu" -run "$tests" -v "$room" >"$log" </dev/null || { cat "$log"; exit 1; }
	grep -E 'this processor has|^(ok|---)' "$log"
	if ! grep -q "this processor has $kernel\$" "$log"; then
		echo "on a simulated $cpu the tests of $room did not report the kernel $kernel"
		exit 1
	fi
done <<END
./internal/aead|Nehalem|x/crypto|TestChosen|TestBatches|TestParts|TestForgery|TestTooShort
./internal/aead|Haswell|AVX2|TestChosen|TestBatches|TestParts|TestForgery|TestTooShort
./internal/x25519|Nehalem|crypto/ecdh|TestChosen|TestProofByRFC/each|TestProofOfLists/each
./internal/x25519|Haswell|AVX2|TestChosen|TestProofOfErasing
END
