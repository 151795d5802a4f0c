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

// Other programs share the processors, and the scheduler gives more of them to a
// program with many threads, or with a session of its own. So that all daemons meet
// the same conditions, they and the load get a nice value at which the rest matters
// little.

// raisedEnv is set when this program already has its nice value.
const raisedEnv = "WGD_BENCH_RAISED"

// raise executes this program again with a nice value that all its threads and
// children inherit. Without the permission, it changes nothing.
func raise(nice int) {
	if os.Getenv(raisedEnv) != "" || nice == 0 {
		return
	}
	runtime.LockOSThread() // the value belongs to one thread until the exec
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil || unix.Setpriority(unix.PRIO_PROCESS, 0, nice) != nil {
		return
	}
	err = syscall.Exec(self, os.Args, append(os.Environ(), raisedEnv+"=1"))
	fmt.Fprintln(os.Stderr, "bench: continuing with the usual nice value:", err)
}

// If the kernel schedules sessions and not processes (autogroup), the session needs
// the nice value. weighSession sets that of the session of a process on a host.
func weighSession(h *lab.Host, pid, nice int) {
	os.WriteFile(h.Path(fmt.Sprintf("/proc/%d/autogroup", pid)), []byte(strconv.Itoa(nice)), 0)
}

// weighOwnSession sets that of the session of this program. It may be a person's
// terminal, so restore sets it back.
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
