package netstack_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"

	"wgd/conf"
	"wgd/key"
	"wgd/netstack"
	"wgd/wg"
)

// Names are looked up by a name server inside the tunnel, at 10.2.0.1: for
// connections to names, and for a program that wants addresses. No query leaves
// outside the tunnel.
func ExampleStack_LookupNetIP() {
	server, client, closeBoth := tunnel(netstack.Options{
		Addresses:   []netip.Prefix{netip.MustParsePrefix("10.2.0.42/32")},
		NameServers: []netip.Addr{netip.MustParseAddr("10.2.0.1")},
		Search:      []string{"corp.example"},
	})
	defer closeBoth()
	serveNames(server)
	listener, err := server.Listen("tcp", ":80")
	check(err)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "the page of", r.Host)
	}))

	addresses, err := client.LookupNetIP(context.Background(), "ip4", "intranet")
	check(err)
	fmt.Println(addresses)
	browser := http.Client{Transport: &http.Transport{DialContext: client.DialContext}}
	response, err := browser.Get("http://intranet/")
	check(err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	check(err)
	fmt.Print(string(page))

	_, err = client.LookupNetIP(context.Background(), "ip6", "intranet.corp.example")
	var failure *net.DNSError
	fmt.Println("IPv6:", errors.As(err, &failure) && failure.IsNotFound)
	// Output:
	// [10.2.0.1]
	// the page of intranet
	// IPv6: true
}

// Code that needs a net.Resolver gets one that queries inside the tunnel. The final
// dot keeps it from appending the search domains of this computer.
func ExampleStack_Resolver() {
	server, client, closeBoth := tunnel(netstack.Options{
		Addresses:   []netip.Prefix{netip.MustParsePrefix("10.2.0.42/32")},
		NameServers: []netip.Addr{netip.MustParseAddr("10.2.0.1")},
	})
	defer closeBoth()
	serveNames(server)

	var resolver *net.Resolver = client.Resolver()
	addresses, err := resolver.LookupHost(context.Background(), "intranet.corp.example.")
	check(err)
	fmt.Println(addresses)
	// Output: [10.2.0.1]
}

// tunnel opens a tunnel between two stacks in this program: a server at 10.2.0.1,
// and a client with these options.
func tunnel(o netstack.Options) (server, client *netstack.Stack, closeBoth func()) {
	server, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{netip.MustParsePrefix("10.2.0.1/32")}})
	check(err)
	client, err = netstack.New(o)
	check(err)
	serverKey, err := key.GeneratePrivate(rand.Reader)
	check(err)
	clientKey, err := key.GeneratePrivate(rand.Reader)
	check(err)
	a, err := wg.Open(wg.Options{Name: "server", Device: server})
	check(err)
	b, err := wg.Open(wg.Options{Name: "client", Device: client})
	check(err)
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.Status().ListenPort)
	check(a.Apply(conf.Change{PrivateKey: &serverKey, Peers: []conf.PeerChange{{
		PublicKey: clientKey.Public(), AllowedIPs: []conf.AllowedIPChange{{Prefix: o.Addresses[0]}},
	}}}))
	check(b.Apply(conf.Change{PrivateKey: &clientKey, Peers: []conf.PeerChange{{
		PublicKey: serverKey.Public(), Endpoint: &at,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.1/32")}},
	}}}))
	return server, client, func() { a.Close(); b.Close() }
}

// serveNames is a very small name server: every name has the address 10.2.0.1.
func serveNames(s *netstack.Stack) {
	conn, err := s.ListenPacket("udp", ":53")
	check(err)
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			end := 12 // of the question: a name, which ends with an empty label, a type and a class
			for query[end] != 0 {
				end += 1 + int(query[end])
			}
			end += 5
			if end > n {
				continue
			}
			answer := append([]byte(nil), query[:end]...)
			answer[2], answer[3], answer[10], answer[11] = 0x81, 0x80, 0, 0 // a response; no additional records
			if answer[end-3] == 1 {                                         // type A
				answer[7] = 1 // record, whose name is that of the question
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 2, 0, 1)
			}
			conn.WriteTo(answer, from)
		}
	}()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
