//go:build !linux

package nft

// Add returns ErrUnsupported: nftables exist on Linux only.
func (g Guard) Add() error { return ErrUnsupported }

// Delete does nothing.
func (g Guard) Delete() error { return nil }

// Present returns ErrUnsupported.
func (g Guard) Present() (bool, error) { return false, ErrUnsupported }
