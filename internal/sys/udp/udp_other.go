//go:build !linux

package udp

import (
	"errors"
	"fmt"
)

// Listen returns an error: the sockets exist for Linux only.
func Listen(uint16, Options) (*Pair, error) {
	return nil, fmt.Errorf("the UDP sockets of a tunnel are implemented for Linux only: %w", errors.ErrUnsupported)
}
