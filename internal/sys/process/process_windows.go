package process

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"syscall"
)

var errUnixOnly = fmt.Errorf("open files cannot be passed to a program on Windows: %w", errors.ErrUnsupported)

// Inherited returns nil, or an error if the variable is set: programs do not inherit
// descriptors here.
func Inherited(variable string) (*os.File, error) {
	if os.Getenv(variable) == "" {
		return nil, nil
	}
	return nil, fmt.Errorf("%s: %w: unset it", variable, errUnixOnly)
}

// UntilTerminated returns a context that Ctrl-C, closing the console, and the shutdown
// of the computer cancel.
func UntilTerminated() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// Duplicate returns an error.
func Duplicate(*os.File) (fd int, err error) { return -1, errUnixOnly }

// Close does nothing, because Duplicate returns no descriptor.
func Close(int) {}

// writable returns true: there is no way to find out.
func writable(*os.File) bool { return true }

// MaxFiles returns how many files this process may have open: Windows has no limit of
// its own.
func MaxFiles() int { return math.MaxInt32 }

// Signals are those that a process receives which stays in the foreground. There are
// none on Windows.
type Signals struct {
	Reload    <-chan os.Signal
	Orphan    <-chan os.Signal
	Interrupt <-chan os.Signal
}

// Receive returns Signals whose channels receive nothing.
func Receive() *Signals { return &Signals{} }

// Stop does nothing.
func (*Signals) Stop() {}

// TakeInterrupt does nothing.
func (*Signals) TakeInterrupt() {}

// UntilEnded is UntilTerminated.
func UntilEnded() (context.Context, context.CancelFunc) { return UntilTerminated() }

// UntilStopped is UntilTerminated.
func UntilStopped() (context.Context, context.CancelFunc) { return UntilTerminated() }

// Reap does nothing: no process inherits the children of others.
func Reap() {}
