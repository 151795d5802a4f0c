package stackload

import (
	"fmt"
	"net"
	"sync/atomic"
)

// proxy serves SOCKS5.
func proxy(s Stack, t Tunnel, _ *atomic.Uint64) error {
	server, ok := s.(Server)
	if !ok {
		return fmt.Errorf("this program has no SOCKS5 server")
	}
	l, err := net.Listen("tcp", t.Proxy)
	if err != nil {
		return err
	}
	server.ServeSOCKS5(l)
	return nil
}
