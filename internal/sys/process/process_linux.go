package process

import (
	"context"
	"os"
	"os/exec"
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

// Detach makes cmd, when it starts, the leader of a session of its own: it
// survives the terminal and gets none of its signals.
func Detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

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
