//go:build !linux

package udp

import (
	"errors"
	"fmt"
)

// Listen has no sockets of this kind on this system.
func Listen(uint16, Options) (*Pair, error) {
	return nil, fmt.Errorf("the UDP sockets of a tunnel are implemented for Linux only: %w", errors.ErrUnsupported)
}
