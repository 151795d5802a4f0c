//go:build !linux

package mark

import (
	"errors"
	"syscall"
)

// Control returns what a net.Dialer calls as its Control. Only Linux has marks.
func Control(mark uint32) func(network, address string, conn syscall.RawConn) error {
	if mark == 0 {
		return nil
	}
	return func(string, string, syscall.RawConn) error { return refused(mark, errors.ErrUnsupported) }
}
