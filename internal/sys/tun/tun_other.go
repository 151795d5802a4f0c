//go:build !linux

package tun

import (
	"errors"
	"fmt"
	"os"
)

// Create returns errors.ErrUnsupported on this system.
func Create(string, Options) (Device, error) {
	return nil, fmt.Errorf("TUN interfaces are implemented for Linux only; try \"wgd demo\": %w", errors.ErrUnsupported)
}

// NameOf returns "" on this system.
func NameOf(*os.File) string { return "" }

// FromFD returns errors.ErrUnsupported on this system.
func FromFD(int, Options) (Device, error) { return Create("", Options{}) }

// Permitted returns errors.ErrUnsupported on this system.
func Permitted(string) error {
	_, err := Create("", Options{})
	return err
}
