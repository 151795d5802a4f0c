// Stack is a worker of stackload, with wireguard-go and its netstack. Both have
// the version of gVisor that wgd has. test/bench starts it.
package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"wgd/test/stackload"
)

func main() {
	stackload.Become(open)
	fmt.Fprintln(os.Stderr, "stack: this program is a part of make bench")
	os.Exit(2)
}

func open(t stackload.Tunnel) (stackload.Stack, error) {
	address, err := netip.ParseAddr(t.Address)
	if err != nil {
		return nil, err
	}
	tun, opened, err := netstack.CreateNetTUN([]netip.Addr{address}, nil, 1420)
	if err != nil {
		return nil, err
	}
	dev := device.NewDevice(tun, conn.NewDefaultBind(), device.NewLogger(device.LogLevelError, ""))
	config := fmt.Sprintf("private_key=%s\nlisten_port=%d\npublic_key=%s\nallowed_ip=0.0.0.0/0\n", t.Private, t.Port, t.Peer)
	if t.Endpoint != "" {
		config += "endpoint=" + t.Endpoint + "\n"
	}
	if err := dev.IpcSet(config); err != nil {
		return nil, err
	}
	return stack{opened}, dev.Up()
}

// stack has the methods that stackload calls.
type stack struct{ *netstack.Net }

func (n stack) Listen(_, address string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	return n.ListenTCPAddrPort(at)
}
