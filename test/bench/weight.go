package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"wgd/test/lab"
)

// The processors are shared with whatever else runs here, and a scheduler gives
// a program of many threads, or one with a session of its own, more of them
// than another. So that two daemons meet the same conditions, both, and the
// load, are given so much weight that the rest matters little.

// raisedEnv marks this program when it has its weight.
const raisedEnv = "WGD_BENCH_RAISED"

// raise starts this program anew with a nice value that all its threads and
// children have. Without the right to it, it goes on as it is.
func raise(nice int) {
	if os.Getenv(raisedEnv) != "" || nice == 0 {
		return
	}
	runtime.LockOSThread() // the value is one thread's until the exec
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil || unix.Setpriority(unix.PRIO_PROCESS, 0, nice) != nil {
		return
	}
	err = syscall.Exec(self, os.Args, append(os.Environ(), raisedEnv+"=1"))
	fmt.Fprintln(os.Stderr, "bench: going on after", err)
}

// Where the kernel weighs sessions and not processes (autogroup), it is the
// session that needs the weight. weighSession gives it to that of one of a
// host's processes.
func weighSession(h *lab.Host, pid, nice int) {
	os.WriteFile(h.Path(fmt.Sprintf("/proc/%d/autogroup", pid)), []byte(strconv.Itoa(nice)), 0)
}

// weighOwnSession gives it to our own, which may be a person's terminal: restore
// takes it back.
func weighOwnSession(nice int) (restore func()) {
	const file = "/proc/self/autogroup"
	text, err := os.ReadFile(file)
	if err != nil || nice == 0 {
		return func() {}
	}
	_, before, _ := strings.Cut(strings.TrimSpace(string(text)), "nice ")
	os.WriteFile(file, []byte(strconv.Itoa(nice)), 0)
	return func() { os.WriteFile(file, []byte(before), 0) }
}
