package clock

import (
	"errors"
	"math"
	"math/bits"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// WatchResume calls resumed each time the computer has been suspended, with how long,
// until stop is called. Timers of Go stand still meanwhile, and continue as if no time
// had passed.
//
// There is no event for this as such. But Linux cancels timers on the wall clock, if they
// ask for that, whenever that clock is set, and after suspend it is. Whether the computer
// was suspended, CLOCK_BOOTTIME tells.
func WatchResume(resumed func(slept time.Duration)) (stop func(), err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	const never = math.MaxInt32 << (bits.UintSize/32 - 1) // in the year 2106; with 32 bits, in 2038
	at := &unix.ItimerSpec{Value: unix.Timespec{Sec: never}}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, at, nil); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("timerfd_settime", err)
	}
	file := os.NewFile(uintptr(fd), "timerfd")
	done := make(chan struct{})
	go func() {
		defer close(done)
		watchResume(system.bootOffset, func() error { return awaitSet(file) }, resumed)
	}()
	return func() {
		file.Close()
		<-done
	}, nil
}

// awaitSet waits until the wall clock is set.
func awaitSet(timer *os.File) error {
	var expirations [8]byte
	_, err := timer.Read(expirations[:])
	if errors.Is(err, unix.ECANCELED) {
		return nil
	}
	if err == nil {
		err = errors.New("the timer has expired")
	}
	return err
}

// watchResume compares how far CLOCK_BOOTTIME is ahead whenever the wall clock was set,
// until await fails.
func watchResume(ahead func() int64, await func() error, resumed func(time.Duration)) {
	for before := ahead(); await() == nil; {
		now := ahead()
		if now >= before+tolerance {
			resumed(time.Duration(now - before))
		}
		before = max(before, now)
	}
}
