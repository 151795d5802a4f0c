package process

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// MuteStderr lets go of standard error: what is written there from now on is
// lost, and whoever waits for its end gets it.
func MuteStderr() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return syscall.Dup3(int(null.Fd()), int(os.Stderr.Fd()), 0)
}

// UntilTerminated is a context that ends with SIGTERM or SIGINT, and with
// SIGHUP, the end of a terminal, unless who started us had it ignored (nohup).
func UntilTerminated() (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signal.NotifyContext(context.Background(), signals...)
}

// Duplicate is another descriptor for what f has open. It is the caller's to
// close, whatever becomes of f.
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

// Close closes a descriptor that no file has.
func Close(fd int) { unix.Close(fd) }

// TemporaryFile is a file that no folder has and that is gone when nobody has it
// open any more.
func TemporaryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
