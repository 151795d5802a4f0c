//go:build !linux

package cpu

import "errors"

// Read returns errors.ErrUnsupported.
func Read() (Times, error) { return Times{}, errors.ErrUnsupported }
