//go:build !linux

package answer

import "net"

// follow returns the socket: the kernel chooses the address of answers.
func follow(udp *net.UDPConn) net.PacketConn { return udp }
