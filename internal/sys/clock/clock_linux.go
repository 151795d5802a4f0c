package clock

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/clock"
)

// A bootClock computes CLOCK_BOOTTIME without a system call each time.
//
// CLOCK_MONOTONIC and the wall clock are read in user space; CLOCK_BOOTTIME takes
// a system call. It is CLOCK_MONOTONIC plus the time that the machine was
// suspended, by which the wall clock has advanced as well. So as long as the
// offset between the wall clock and CLOCK_MONOTONIC does not change, the offset
// between CLOCK_BOOTTIME and CLOCK_MONOTONIC does not either. A step of the wall
// clock only costs one more system call.
type bootClock struct {
	boot, mono func() int64 // CLOCK_BOOTTIME and CLOCK_MONOTONIC, in nanoseconds

	offsets atomic.Pointer[offsets]
	checked atomic.Int64 // the time of the last check, on CLOCK_MONOTONIC
}

// offsets are how far the other clocks are ahead of CLOCK_MONOTONIC.
type offsets struct{ wall, boot int64 }

const (
	// tolerance is how much an offset may seem to change because the two clocks
	// are not read at the same instant, or because the wall clock is slewed.
	tolerance = int64(20 * time.Millisecond)
	// checkEvery bounds how long an error lasts that the wall clock does not show.
	checkEvery = int64(time.Second)
	// readings is how many times two clocks are read to find their offset.
	readings = 3
)

var system = bootClock{boot: bootTime, mono: monotonicTime}

// bootTime returns CLOCK_BOOTTIME. A raw system call will do: it never blocks.
func bootTime() int64 {
	var ts unix.Timespec
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// monotonicTime returns CLOCK_MONOTONIC, counted from the start of the process.
func monotonicTime() int64 { return int64(time.Since(started)) }

// monotonic returns CLOCK_BOOTTIME at now, which was just read.
func monotonic(now time.Time) clock.Time {
	return clock.Time(system.at(now.UnixNano(), int64(now.Sub(started))))
}

// at returns CLOCK_BOOTTIME at the time when the wall clock and CLOCK_MONOTONIC
// have these values, in nanoseconds. CLOCK_MONOTONIC may count from any moment.
func (c *bootClock) at(wall, mono int64) int64 {
	if d := c.offsets.Load(); d != nil && near(d.wall, wall-mono) && mono-c.checked.Load() < checkEvery {
		return mono + d.boot
	}
	return c.check(wall, mono)
}

// check measures the offsets again. That of CLOCK_BOOTTIME only grows; if it seems
// smaller, or hardly larger, it has not changed. Another goroutine may check at
// the same time. A later result must not be replaced by an earlier one, because the
// clock must not go back.
func (c *bootClock) check(wall, mono int64) int64 {
	for {
		d := c.offsets.Load()
		fresh := &offsets{wall: wall - mono, boot: c.bootOffset()}
		if d != nil && fresh.boot < d.boot+tolerance {
			fresh.boot = d.boot
		}
		if d != nil && *d == *fresh || c.offsets.CompareAndSwap(d, fresh) {
			c.checked.Store(mono)
			return mono + fresh.boot
		}
	}
}

// bootOffset returns how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC. The thread
// may be preempted between the two readings. CLOCK_MONOTONIC is read second, so
// that the offset then seems smaller, never larger: a pause is not mistaken for
// suspend. The largest of several results is the one with the shortest pause.
func (c *bootClock) bootOffset() (largest int64) {
	for i := range readings {
		boot := c.boot()
		if offset := boot - c.mono(); i == 0 || offset > largest {
			largest = offset
		}
	}
	return largest
}

// near reports whether two offsets are equal within the tolerance.
func near(a, b int64) bool { return a-b < tolerance && b-a < tolerance }
