//go:build !linux

package tun

import (
	"errors"
	"fmt"
	"os"
)

// Create has nothing to create with on this system.
func Create(string, Options) (Device, error) {
	return nil, fmt.Errorf("TUN interfaces are implemented for Linux only; try \"wgd demo\": %w", errors.ErrUnsupported)
}

// NameOf knows no interface.
func NameOf(*os.File) string { return "" }

// FromFD has nothing to adopt on this system.
func FromFD(int, Options) (Device, error) { return Create("", Options{}) }
