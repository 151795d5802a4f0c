package lab

import (
	"fmt"
	"io"
	"net"
	"net/netip"
)

// SOCKS5 returns a function that connects to IPv4 addresses through a SOCKS5 server
// (RFC 1928).
func SOCKS5(server string) func(network, address string) (net.Conn, error) {
	return func(network, address string) (net.Conn, error) {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := net.Dial(network, server)
		if err != nil {
			return nil, err
		}
		request := append([]byte{5, 1, 0, 5, 1, 0, 1}, to.Addr().AsSlice()...)
		request = append(request, byte(to.Port()>>8), byte(to.Port()))
		var answer [12]byte // the method, and a reply with an IPv4 address
		if _, err = conn.Write(request); err == nil {
			_, err = io.ReadFull(conn, answer[:])
		}
		if err == nil && (answer[0] != 5 || answer[1] != 0 || answer[3] != 0) {
			err = fmt.Errorf("the SOCKS5 server refuses: % x", answer)
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}
