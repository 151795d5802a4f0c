package clock

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/clock"
)

// monotonic is CLOCK_BOOTTIME. The call is a raw one: it never sleeps, and it
// is made once a batch.
func monotonic() clock.Time {
	var ts unix.Timespec
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0)
	return clock.Time(ts.Nano())
}
