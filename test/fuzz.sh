#!/bin/sh
# Runs every fuzz target of the tree for FUZZTIME (10s), one after the other:
# the fuzzer itself uses all processors.
set -eu
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
n=0
for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "--- $target (${file#./})"
		if ! "${GO:-go}" test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" "$(dirname "$file")" >"$log" 2>&1; then
			cat "$log"
			exit 1
		fi
		tail -n 1 "$log"
		n=$((n + 1))
	done
done
echo "$n fuzz targets ran"
