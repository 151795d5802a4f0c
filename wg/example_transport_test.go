package wg_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"

	"wgd/conf"
	"wgd/key"
	"wgd/netstack"
	"wgd/wg"
)

// A network in memory connects two peers, for the tests of a program: no socket
// is opened.
func ExampleTransport() {
	net := newNetwork()
	server, serverKey := openOn(host{net, netip.MustParseAddr("192.0.2.1")}, "10.2.0.1/32")
	client, clientKey := openOn(host{net, netip.MustParseAddr("192.0.2.42")}, "10.2.0.42/32")
	defer server.Close()
	defer client.Close()
	at := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), server.Status().ListenPort)
	check(server.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  clientKey,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.42/32")}},
	}}}))
	check(client.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  serverKey,
		Endpoint:   &at,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.1/32")}},
	}}}))

	listener, err := server.stack.Listen("tcp", "10.2.0.1:80")
	check(err)
	go func() {
		conn, err := listener.Accept()
		check(err)
		io.WriteString(conn, "hello through memory\n")
		conn.Close()
	}()
	conn, err := client.stack.DialContext(context.Background(), "tcp", "10.2.0.1:80")
	check(err)
	defer conn.Close()
	text, err := io.ReadAll(conn)
	check(err)
	fmt.Print(string(text))
	// Output: hello through memory
}

// A network connects hosts in memory.
type network struct {
	mu    sync.Mutex
	conns map[netip.AddrPort]*memoryConn
	next  uint16 // port, for those who do not choose one
}

func newNetwork() *network { return &network{conns: make(map[netip.AddrPort]*memoryConn), next: 40000} }

// A host of a network is a wg.Transport.
type host struct {
	net     *network
	address netip.Addr
}

// Open implements wg.Transport.
func (h host) Open(port uint16) (wg.Conn, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if port == 0 {
		h.net.next++
		port = h.net.next
	}
	at := netip.AddrPortFrom(h.address, port)
	if h.net.conns[at] != nil {
		return nil, fmt.Errorf("%v is taken: choose another port", at)
	}
	c := &memoryConn{net: h.net, at: at, arrived: make(chan train, 256), closed: make(chan struct{})}
	h.net.conns[at] = c
	return c, nil
}

// A memoryConn is a wg.Conn.
type memoryConn struct {
	net     *network
	at      netip.AddrPort
	arrived chan train
	closed  chan struct{}
}

// A train is datagrams of size bytes, back to back; the last may be shorter.
type train struct {
	data []byte
	size int
	from netip.AddrPort
}

func (c *memoryConn) Port() uint16 { return c.at.Port() }

func (c *memoryConn) Read(b []byte) (n, size int, from netip.AddrPort, err error) {
	select {
	case t := <-c.arrived:
		return copy(b, t.data), t.size, t.from, nil
	case <-c.closed:
		return 0, 0, netip.AddrPort{}, os.ErrClosed
	}
}

func (c *memoryConn) Write(b []byte, size int, to netip.AddrPort) error {
	c.net.mu.Lock()
	remote := c.net.conns[to]
	c.net.mu.Unlock()
	if remote == nil {
		return nil // nobody is there: lost, as in any network
	}
	select {
	case remote.arrived <- train{slices.Clone(b), size, c.at}:
	default: // its queue is full: lost
	}
	return nil
}

func (c *memoryConn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	delete(c.net.conns, c.at)
	close(c.closed)
	return nil
}

// openOn makes a stack with one address, and a tunnel for it with a new key,
// which sends and receives through the transport.
func openOn(transport wg.Transport, address string) (end, key.Public) {
	stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{netip.MustParsePrefix(address)}})
	check(err)
	w, err := wg.Open(wg.Options{Name: "example", Device: stack, Transport: transport})
	check(err)
	private, err := key.GeneratePrivate(rand.Reader)
	check(err)
	check(w.Apply(conf.Change{PrivateKey: &private}))
	return end{w, stack}, private.Public()
}
