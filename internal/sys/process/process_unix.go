//go:build unix

package process

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"wgd/internal/quote"
)

// Inherited returns the file whose descriptor is in an environment variable, or nil
// if the variable is not set. It unsets the variable, so that nothing else uses the
// descriptor.
func Inherited(variable string) (*os.File, error) {
	value := os.Getenv(variable)
	if value == "" {
		return nil, nil
	}
	os.Unsetenv(variable)
	fd, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: not a descriptor: give the number of an open file", variable, quote.Text(value))
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil, fmt.Errorf("%s=%s: %w: give the number of an open file", variable, value, err)
	}
	return os.NewFile(uintptr(fd), variable), nil
}

// UntilTerminated returns a context that SIGTERM and SIGINT cancel, and SIGHUP (the
// terminal was closed) unless it was ignored when this process started (nohup).
// SIGPIPE is ignored: the log may lose its reader.
func UntilTerminated() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signal.NotifyContext(context.Background(), signals...)
}

// Duplicate returns another descriptor of the open file f. The caller closes it,
// independently of f.
func Duplicate(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	poll := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) })
	if poll != nil {
		return -1, poll
	}
	return fd, err
}

// Close closes a descriptor that belongs to no os.File.
func Close(fd int) { unix.Close(fd) }

// writable reports whether a line can be written without waiting. For a pipe that
// means that it has room for 4,096 bytes.
func writable(f *os.File) bool {
	poll := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(poll, 0)
		if err != unix.EINTR {
			return n != 0 || err != nil // the error of a broken pipe comes from the write
		}
	}
}

// MaxFiles returns how many files this process may have open.
func MaxFiles() int {
	const usual = 1024
	limit := unix.Rlimit{Cur: usual}
	unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return int(min(limit.Cur, math.MaxInt32))
}
