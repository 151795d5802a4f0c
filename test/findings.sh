#!/bin/sh
# Runs all scripts in findings/, or the given ones, and says which still hold. The
# exit status is 0 only if all of them were tried and hold.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- findings/*.sh

output=$(mktemp)
trap 'rm -f "$output"' EXIT
failed=0
for script; do
	printf '\n=== %s\n' "$script"
	sed -n '2{s/^# *//p;q;}' "$script"
	status=0
	timeout -k 5 60 sh "$script" >"$output" 2>&1 || status=$?
	sed 's/^/    /' "$output"
	case $status in
	0) ;;
	77) echo "NOT TRIED: $script" && failed=$((failed + 1)) ;;
	124 | 137) echo "NOT TRIED: $script took more than a minute" && failed=$((failed + 1)) ;;
	*) echo "NO LONGER SO, or it could not be run: $script (exit status $status)" && failed=$((failed + 1)) ;;
	esac
done
printf '\n%d of %d hold\n' $(($# - failed)) $#
[ $failed = 0 ]
