#!/bin/sh
# Builds nfpm for this machine, of the version that go.mod here pins, as the file that is given.
set -eu
out=$(realpath "$1")
cd "$(dirname "$0")"
GO=${GO:-go}
GOARCH=$($GO env GOHOSTARCH) exec $GO build -buildvcs=false -o "$out" github.com/goreleaser/nfpm/v2/cmd/nfpm
