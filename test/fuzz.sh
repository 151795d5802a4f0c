#!/bin/sh
# Runs every fuzz target of the tree for FUZZTIME (default 5s), with one worker
# each, and as many at a time as there are processors.
set -eu
cd "$(dirname "$0")/.."

# With a file and a target as arguments, runs that target and prints only the result.
if [ $# -eq 2 ]; then
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	try() {
		# In its folder, which may belong to another module.
		(cd "$(dirname "$1")" && "${GO:-go}" test -run '^$' -fuzz "^$2\$" -parallel 1 -fuzztime "${FUZZTIME:-5s}" .) >"$log" 2>&1
	}
	# If the time is over in the middle of an input, Go reports a failure (golang/go#75804): about once
	# in thirty runs. Without a failing input, try again, so often that it is no accident any more.
	outOfTime() {
		grep -q '^    context deadline exceeded$' "$log" && ! grep -q 'Failing input' "$log"
	}
	tries=1
	while ! try "$@"; do
		if [ "$tries" = 5 ] || ! outOfTime; then
			echo "--- FAIL: $2 ($1)"
			cat "$log"
			exit 255 # makes xargs stop
		fi
		tries=$((tries + 1))
	done
	echo "$(tail -n 1 "$log") $2"
	exit 0
fi

list=$(mktemp)
trap 'rm -f "$list"' EXIT
grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do
	sed -n "s|^func \(Fuzz[A-Za-z0-9_]*\)(.*|$file \1|p" "$file"
done >"$list"
if ! [ -s "$list" ]; then
	echo "there is no fuzz target"
	exit 1
fi
xargs -n 2 -P "$(nproc)" sh test/fuzz.sh <"$list"
echo "$(wc -l <"$list") fuzz targets ran"
