//go:build !darwin && !freebsd && !linux && !netbsd && !openbsd && !windows

package udp

import "errors"

// forbidFragments returns an error.
func forbidFragments(uintptr, bool, bool) error { return errors.ErrUnsupported }
