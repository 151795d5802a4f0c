package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// DiscardStderr redirects standard error to /dev/null, so that a program that waits
// for its end sees it.
func DiscardStderr() error { return discard(syscall.Stderr) }

// DiscardStandard is DiscardStderr for standard input and output too.
func DiscardStandard() error { return discard(syscall.Stdin, syscall.Stdout, syscall.Stderr) }

func discard(descriptors ...int) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for _, fd := range descriptors {
		err = errors.Join(err, syscall.Dup3(int(null.Fd()), fd, 0))
	}
	return err
}

// TemporaryFile returns a new file in memory, which is in no folder and is deleted
// when it is closed by every process.
func TemporaryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
