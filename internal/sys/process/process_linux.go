package process

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inherited is the file whose descriptor stands in an environment variable, or
// nil without one. The variable is unset: nobody else shall use the number.
func Inherited(variable string) (*os.File, error) {
	value := os.Getenv(variable)
	if value == "" {
		return nil, nil
	}
	os.Unsetenv(variable)
	fd, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: not a descriptor: give the number of an open file", variable, value)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil, fmt.Errorf("%s=%s: %w: give the number of an open file", variable, value, err)
	}
	return os.NewFile(uintptr(fd), variable), nil
}

// DiscardStderr lets go of standard error: what is written there from now on is
// lost, and whoever waits for its end gets it.
func DiscardStderr() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return syscall.Dup3(int(null.Fd()), int(os.Stderr.Fd()), 0)
}

// UntilTerminated is a context that ends with SIGTERM or SIGINT, and with
// SIGHUP, the end of a terminal, unless who started us had it ignored (nohup).
// SIGPIPE is no end: that nobody reads the log any more is no harm.
func UntilTerminated() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
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

// LogFile is a Writer of whole lines to a pipe, a terminal or a file. One that its
// reader has left full, or a terminal that was told to pause, does not hold up
// who writes: then the line is lost, and how many were is told by the next.
func LogFile(f *os.File) io.Writer { return &logFile{file: f} }

type logFile struct {
	file *os.File
	mu   sync.Mutex
	lost int
}

func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !writable(l.file) {
		l.lost++
		return len(line), nil
	}
	if l.lost > 0 {
		line = fmt.Appendf(nil, "%d lines of this log were lost: its reader was too slow\n%s", l.lost, line)
		l.lost = 0
	}
	return l.file.Write(line)
}

// writable reports whether a line can be written now. A pipe says so while it
// has room for 4,096 bytes.
func writable(f *os.File) bool {
	poll := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(poll, 0)
		if err != unix.EINTR {
			return n != 0 || err != nil // a broken pipe says so when it is written to
		}
	}
}

// MaxFiles is how many files this process may have open.
func MaxFiles() int {
	const usual = 1024
	limit := unix.Rlimit{Cur: usual}
	unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return int(min(limit.Cur, math.MaxInt32))
}
