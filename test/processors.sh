#!/bin/sh
# What is chosen by the processor, on other processors: builds for arm64 and for
# 386, and the tests of the rooms that have such code, on arm64 and on amd64 of
# other years as qemu simulates them. (qemu knows no AVX-512.)
set -eu
cd "$(dirname "$0")/.."
go="${GO:-go}"
rooms='./internal/aead ./internal/packet'
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
		echo "NOT TESTED: other processors, for there is no $qemu here: install qemu-user"
		[ "${CI:-}" != true ] || exit 1
		exit 0
	fi
done
GOARCH=arm64 "$go" test -exec qemu-aarch64 $rooms
for pair in 'Nehalem x/crypto' 'Haswell AVX2'; do # a processor, and what it is to choose
	cpu=${pair% *}
	kernel=${pair#* }
	tests='TestChosen|TestBatches|TestForgery|TestTooShort'
	"$go" test -exec "qemu-x86_64 -cpu $cpu" -run "$tests" -v ./internal/aead >"$log" || { cat "$log"; exit 1; }
	grep -E 'this processor has|^(ok|---)' "$log"
	if ! grep -q "this processor has $kernel\$" "$log"; then
		echo "simulated as $cpu, the processor should have $kernel: the test above says nothing about that"
		exit 1
	fi
done
