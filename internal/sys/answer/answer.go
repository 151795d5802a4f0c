// Package answer makes UDP sockets whose answers leave from the address to which the client
// has written. A computer with several addresses would otherwise choose one, and a client
// drops an answer from an address that it does not know.
package answer

import "net"

// Listen opens a socket at a local address. Where the system can tell, the address that
// ReadFrom returns for a client includes what the client has written to, and WriteTo answers
// from there. A client that writes to two addresses has thus two addresses.
func Listen(address string) (net.PacketConn, error) {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok || !udp.LocalAddr().(*net.UDPAddr).IP.IsUnspecified() {
		return conn, nil
	}
	return follow(udp), nil
}
