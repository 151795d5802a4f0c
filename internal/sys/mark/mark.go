// Package mark sets the firewall mark of sockets that the standard library opens.
package mark

import "fmt"

// refused is the error of a mark that the kernel does not allow.
func refused(mark uint32, cause error) error {
	return fmt.Errorf("fwmark %#x: %w: a mark needs CAP_NET_ADMIN", mark, cause)
}
