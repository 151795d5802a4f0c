//go:build !linux

package tun

import (
	"errors"
	"fmt"
	"os"
)

// Create returns errors.ErrUnsupported on this system.
func Create(string, Options) (Device, error) {
	return nil, fmt.Errorf("this system has no TUN interfaces that wgd can use, only Linux has: \"wgd proxy CONF --socks5 127.0.0.1:1080\" works here: %w", errors.ErrUnsupported)
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
