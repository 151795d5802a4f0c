package cpu

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of /proc/stat: USER_HZ is 100 on every Linux.
const tick = 10 * time.Millisecond

// errUnreadable means that /proc/stat does not have the counters.
var errUnreadable = errors.New("/proc/stat does not say how long the processors were idle")

// Read reads the counters. That takes some tens of microseconds, or more on a
// machine with many processors.
func Read() (t Times, err error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return t, err
	}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t, err
	}
	idle, ok := parse(text, allowed.IsSet)
	if !ok {
		return t, errUnreadable
	}
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return t, err
	}
	return Times{Idle: idle, Own: time.Duration(use.Utime.Nano() + use.Stime.Nano())}, nil
}

// parse adds up idle and iowait in the lines "cpu0 user nice system idle iowait …"
// of the processors that are allowed.
func parse(text []byte, allowed func(cpu int) bool) (idle time.Duration, ok bool) {
	for line := range bytes.Lines(text) {
		number, isCPU := bytes.CutPrefix(line, []byte("cpu"))
		if !isCPU {
			break // the lines of processors come first
		}
		words := bytes.Fields(number)
		const idleAt, waitAt = 4, 5 // words[0] is the number
		if len(words) <= waitAt || number[0] == ' ' {
			continue // the sum of all processors
		}
		cpu, err := strconv.ParseUint(string(words[0]), 10, 16)
		if err != nil || !allowed(int(cpu)) {
			continue
		}
		for _, word := range words[idleAt : waitAt+1] {
			n, err := strconv.ParseUint(string(word), 10, 48)
			if err != nil {
				return 0, false
			}
			idle += time.Duration(n) * tick
		}
		ok = true
	}
	return idle, ok
}
