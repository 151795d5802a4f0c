package clock

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/clock"
)

// bootClock is CLOCK_BOOTTIME without asking the kernel each time.
//
// CLOCK_MONOTONIC and the wall clock are read in user space, CLOCK_BOOTTIME is
// not. It is CLOCK_MONOTONIC and the time that the machine slept; and when the
// machine wakes up, the wall clock has gone on by as much, too. So as long as
// the wall clock and CLOCK_MONOTONIC go side by side, CLOCK_BOOTTIME is as far
// from them as when it was last asked. A step of the wall clock only means that
// it is asked once more.
type bootClock struct {
	boot, mono func() int64 // CLOCK_BOOTTIME and CLOCK_MONOTONIC, in nanoseconds

	offsets atomic.Pointer[offsets]
	checked atomic.Int64 // when, in CLOCK_MONOTONIC
}

// offsets is how far other clocks are ahead of CLOCK_MONOTONIC.
type offsets struct{ wall, boot int64 }

const (
	// tolerance is how far two clocks may seem to part because they are not
	// read in the same moment, or because the wall clock is slewed.
	tolerance = int64(20 * time.Millisecond)
	// checkEvery bounds what is not thought of here.
	checkEvery = int64(time.Second)
	// readings is how often two clocks are read to know how far they are apart.
	readings = 3
)

var system = bootClock{boot: bootTime, mono: monotonicTime}

// bootTime makes a raw call: it never sleeps.
func bootTime() int64 {
	var ts unix.Timespec
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// monotonicTime is CLOCK_MONOTONIC, counted from the start of the process.
func monotonicTime() int64 { return int64(time.Since(started)) }

// monotonic is CLOCK_BOOTTIME at now, which was just read.
func monotonic(now time.Time) clock.Time {
	return clock.Time(system.at(now.UnixNano(), int64(now.Sub(started))))
}

// at is CLOCK_BOOTTIME when the wall clock and CLOCK_MONOTONIC, the latter from
// any moment, are at so many nanoseconds.
func (c *bootClock) at(wall, mono int64) int64 {
	if d := c.offsets.Load(); d != nil && near(d.wall, wall-mono) && mono-c.checked.Load() < checkEvery {
		return mono + d.boot
	}
	return c.check(wall, mono)
}

// check reads CLOCK_BOOTTIME. The offsets to it only ever grows: where it seems
// smaller, or hardly greater, it is the old one. Others may check meanwhile, and
// what they saw later must not be undone, for a clock must not go back.
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

// ahead is how far CLOCK_BOOTTIME is ahead of CLOCK_MONOTONIC. A thread may be
// put aside between the two readings. CLOCK_MONOTONIC is the second, so that the
// offsets then seems smaller, never greater: no pause is taken for suspend. And
// the greatest of a few is the one with the shortest pause.
func (c *bootClock) bootOffset() (largest int64) {
	for i := range readings {
		boot := c.boot()
		if offset := boot - c.mono(); i == 0 || offset > largest {
			largest = offset
		}
	}
	return largest
}

func near(a, b int64) bool { return a-b < tolerance && b-a < tolerance }
