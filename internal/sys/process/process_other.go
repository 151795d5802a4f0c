//go:build !linux

package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
)

var errLinuxOnly = fmt.Errorf("running in the background is implemented for Linux only: %w", errors.ErrUnsupported)

// Background returns an error.
func Background(*exec.Cmd, ...string) error { return errLinuxOnly }

// DiscardStderr returns an error.
func DiscardStderr() error { return errLinuxOnly }

// DiscardStandard returns an error.
func DiscardStandard() error { return errLinuxOnly }

// TemporaryFile returns an error.
func TemporaryFile(string) (*os.File, error) { return nil, errLinuxOnly }

// A NotifySocket tells a service manager the state of this process. There is no such
// service manager here; the methods of one that is nil do nothing.
type NotifySocket struct{}

// FindNotifySocket returns nil.
func FindNotifySocket() (*NotifySocket, error) { return nil, nil }

// Ready does nothing.
func (*NotifySocket) Ready(string) error { return nil }

// Reloading does nothing.
func (*NotifySocket) Reloading() error { return nil }

// Stopping does nothing.
func (*NotifySocket) Stopping() error { return nil }

// Status does nothing.
func (*NotifySocket) Status(string) error { return nil }

// Caller returns 0: this system does not tell.
func Caller(*net.UnixConn) (pid int, uid uint32, command string) { return 0, 0, "" }
