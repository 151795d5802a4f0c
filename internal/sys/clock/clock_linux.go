package clock

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/clock"
)

// asleep is CLOCK_BOOTTIME without asking the kernel each time.
//
// CLOCK_MONOTONIC and the wall clock are read in user space, CLOCK_BOOTTIME is
// not. It is CLOCK_MONOTONIC and the time that the machine slept; and when the
// machine wakes up, the wall clock has gone on by as much, too. So as long as
// the wall clock and CLOCK_MONOTONIC go side by side, CLOCK_BOOTTIME is as far
// from them as when it was last asked. A step of the wall clock only means that
// it is asked once more.
type asleep struct {
	ask func() int64 // CLOCK_BOOTTIME, in nanoseconds

	known   atomic.Pointer[distance]
	checked atomic.Int64 // when, in CLOCK_MONOTONIC
}

// distance is how far other clocks are from CLOCK_MONOTONIC.
type distance struct{ wall, boot int64 }

const (
	// sideBySide is how far two clocks may seem to part because they are not
	// read in the same moment, or because the wall clock is slewed.
	sideBySide = int64(20 * time.Millisecond)
	// checkEvery bounds what is not thought of here.
	checkEvery = int64(time.Second)
)

var machine = asleep{ask: askKernel}

// askKernel makes a raw call: it never sleeps.
func askKernel() int64 {
	var ts unix.Timespec
	unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// monotonic is CLOCK_BOOTTIME at now, which was just read.
func monotonic(now time.Time) clock.Time {
	return clock.Time(machine.at(now.UnixNano(), int64(now.Sub(started))))
}

// at is CLOCK_BOOTTIME when the wall clock and CLOCK_MONOTONIC, the latter from
// any moment, are at so many nanoseconds.
func (a *asleep) at(wall, mono int64) int64 {
	if d := a.known.Load(); d != nil && near(d.wall, wall-mono) && mono-a.checked.Load() < checkEvery {
		return mono + d.boot
	}
	return a.check(wall, mono)
}

// check asks for CLOCK_BOOTTIME. The distance to it only ever grows. So where it
// seems smaller, or hardly greater, it is the old one, and what was longer was
// the asking: a clock must not go back.
func (a *asleep) check(wall, mono int64) int64 {
	fresh := &distance{wall: wall - mono, boot: a.ask() - mono}
	d := a.known.Load()
	if d != nil && fresh.boot < d.boot+sideBySide {
		fresh.boot = d.boot
	}
	if d == nil || *d != *fresh {
		a.known.Store(fresh)
	}
	a.checked.Store(mono)
	return mono + fresh.boot
}

func near(a, b int64) bool { return a-b < sideBySide && b-a < sideBySide }
