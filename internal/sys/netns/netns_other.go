//go:build !linux

package netns

import (
	"errors"
	"fmt"
	"os"
)

var errLinuxOnly = fmt.Errorf("network namespaces exist on Linux only: %w", errors.ErrUnsupported)

// Here returns an error.
func Here() (*os.File, error) { return nil, errLinuxOnly }

// Same returns true: there is one network.
func Same(*os.File, *os.File) bool { return true }

// Do returns an error, and does not call f.
func Do(*os.File, func() error) error { return errLinuxOnly }
