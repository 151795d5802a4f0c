//go:build !linux

package cpu

import "errors"

// Read knows of no counters on this system.
func Read() (Times, error) { return Times{}, errors.ErrUnsupported }
