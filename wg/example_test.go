package wg_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/netip"

	"wgd/conf"
	"wgd/key"
	"wgd/netstack"
	"wgd/wg"
)

// A server and a client in one program. Each has a TCP/IP stack of its own
// instead of the kernel's interface, and needs neither root nor a TUN device.
func Example() {
	server, serverKey := open("10.2.0.1/32")
	client, clientKey := open("10.2.0.42/32")
	defer server.Close()
	defer client.Close()

	// Each side knows the public key of the other, and which addresses the other
	// may use inside the tunnel. Only the client knows an endpoint.
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.Status().ListenPort)
	check(server.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  clientKey.Public(),
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.42/32")}},
	}}}))
	check(client.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  serverKey.Public(),
		Endpoint:   &at,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.1/32")}},
	}}}))

	listener, err := server.stack.Listen("tcp", "10.2.0.1:80")
	check(err)
	go func() {
		conn, err := listener.Accept()
		check(err)
		io.WriteString(conn, "hello through the tunnel\n")
		conn.Close()
	}()
	conn, err := client.stack.DialContext(context.Background(), "tcp", "10.2.0.1:80")
	check(err)
	defer conn.Close()
	text, err := io.ReadAll(conn)
	check(err)
	fmt.Print(string(text))
	// Output: hello through the tunnel
}

// An end is one end of a tunnel, with the stack that uses it.
type end struct {
	*wg.Interface
	stack *netstack.Stack
}

// Close closes the tunnel and the stack.
func (e end) Close() {
	e.Interface.Close()
	e.stack.Close()
}

// open makes a stack with one address, and a tunnel for it with a new key.
func open(address string) (end, key.Private) {
	stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{netip.MustParsePrefix(address)}})
	check(err)
	w, err := wg.Open(wg.Options{Name: "example", Device: stack})
	check(err)
	private, err := key.GeneratePrivate(rand.Reader)
	check(err)
	check(w.Apply(conf.Change{PrivateKey: &private}))
	return end{w, stack}, private
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
