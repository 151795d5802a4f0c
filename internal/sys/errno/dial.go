package errno

import (
	"errors"
	"syscall"
)

// Refused reports whether err means that nothing listens at the address.
func Refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// Broken reports whether err means that the other end of a connection, or the reader of a
// pipe, is gone.
func Broken(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// HostUnreachable reports whether err means that there is no way to the host.
func HostUnreachable(err error) bool { return errors.Is(err, syscall.EHOSTUNREACH) }

// NetworkUnreachable reports whether err means that there is no route.
func NetworkUnreachable(err error) bool { return errors.Is(err, syscall.ENETUNREACH) }
