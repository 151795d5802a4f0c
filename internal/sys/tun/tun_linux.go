package tun

import "errors"

// Create makes the interface name, down and without addresses.
func Create(name string, o Options) (Device, error) {
	return nil, errors.New("tun: contract")
}

// FromFD takes over a TUN descriptor that somebody else opened and configured
// (WG_TUN_FD), with or without IFF_VNET_HDR. On error the descriptor stays the
// caller's.
func FromFD(fd int, o Options) (Device, error) {
	return nil, errors.New("tun: contract")
}
