#!/bin/sh
# SIGPIPE ends a Go program even if it was started with that signal ignored.
#
# Guess:  signal(7) says that an ignored signal stays ignored after execve, and
#         os/signal that a write to a broken pipe on standard output or error
#         ends the program with SIGPIPE unless it calls Notify for it. So a
#         program that was started with SIGPIPE ignored, as systemd starts
#         services (IgnoreSIGPIPE=yes is the default), gets EPIPE and continues.
# Truth:  only SIGHUP and SIGINT stay ignored. For all other signals, Go's
#         runtime installs its own handler, and the write ends the program. A
#         service in Go needs signal.Ignore(syscall.SIGPIPE), or it ends when
#         the reader of its log ends. A program in C continues.
# Seen:   Go 1.26.8, Linux 6.18.44, dash 0.5.12, GNU coreutils 9.1, 2026-11-28
# Source: Go, src/runtime/signal_unix.go: initsig calls sigInstallGoHandler,
#         which checks SIG_IGN for SIGHUP and SIGINT only
# Needs:  go
set -eu

command -v go >/dev/null || { echo "NOT TRIED: there is no go" >&2 && exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/main.go" <<'GO'
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		signal.Ignore(syscall.SIGPIPE)
	}
	time.Sleep(500 * time.Millisecond) // until the reader has ended
	_, err := os.Stdout.WriteString("x\n")
	fmt.Fprintln(os.Stderr, "   it continues:", err)
}
GO
(cd "$folder" && GOFLAGS=-mod=mod GOWORK=off GO111MODULE=off go build -o writer main.go)

wrong=0
expect() { # what, exit status, command
	what=$1 want=$2
	shift 2
	(
		trap '' PIPE
		code=0
		"$@" || code=$?
		echo $code >"$folder/status"
	) | true
	status=$(cat "$folder/status")
	echo "$what, started with SIGPIPE ignored, writes to a broken pipe: exit status $status"
	[ "$status" = "$want" ] || wrong=1
}

expect "a program in C (sh -c, then echo)" 1 sh -c 'sleep 0.5; /bin/echo x'
expect "a program in Go" 141 "$folder/writer"
expect "one that calls signal.Ignore" 0 "$folder/writer" ignore

if [ $wrong = 1 ]; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
