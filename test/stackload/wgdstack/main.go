// Wgdstack is a worker of stackload, with a tunnel of package wg and a stack of
// package netstack. test/bench starts it.
package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"wgd/conf"
	"wgd/internal/proxy"
	"wgd/key"
	"wgd/netstack"
	"wgd/test/stackload"
	"wgd/wg"
)

func main() {
	stackload.Become(open)
	fmt.Fprintln(os.Stderr, "wgdstack: this program is a part of make bench")
	os.Exit(2)
}

// A server is a stack with the proxy of wgd.
type server struct{ *netstack.Stack }

func (s server) ServeSOCKS5(l net.Listener) {
	p := proxy.SOCKS5{Tunnel: s.Stack}
	go p.Serve(context.Background(), l)
}

func open(t stackload.Tunnel) (stackload.Stack, error) {
	private, err := key.ParsePrivateHex(t.Private)
	if err != nil {
		return nil, err
	}
	public, err := key.ParsePublicHex(t.Peer)
	if err != nil {
		return nil, err
	}
	prefix, err := netip.ParsePrefix(t.Address + "/24")
	if err != nil {
		return nil, err
	}
	port := uint16(t.Port)
	peer := conf.PeerChange{PublicKey: public, AllowedIPs: []conf.AllowedIPChange{{Prefix: prefix.Masked()}}}
	if t.Endpoint != "" {
		endpoint, err := netip.ParseAddrPort(t.Endpoint)
		if err != nil {
			return nil, err
		}
		peer.Endpoint = &endpoint
	}
	stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{prefix}})
	if err != nil {
		return nil, err
	}
	w, err := wg.Open(wg.Options{Name: "bench", Device: stack})
	if err != nil {
		return nil, err
	}
	return server{stack}, w.Apply(conf.Change{PrivateKey: &private, ListenPort: &port, Peers: []conf.PeerChange{peer}})
}
