package wg_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"wgd/conf"
	"wgd/key"
	"wgd/netstack"
	"wgd/wg"
)

// A program fetches a page from a web server inside the tunnel. README.md shows
// the function fetch.
func Example_fetch() {
	server, serverKey := open("10.2.0.1/32")
	defer server.Close()
	clientKey, err := key.GeneratePrivate(rand.Reader)
	check(err)
	check(server.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  clientKey.Public(),
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.42/32")}},
	}}}))
	listener, err := server.stack.Listen("tcp", "10.2.0.1:80")
	check(err)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "a page from inside the tunnel, for", r.RemoteAddr[:len("10.2.0.42")])
	}))

	endpoint := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.Status().ListenPort)
	page, err := fetch(clientKey, serverKey.Public(), endpoint)
	check(err)
	fmt.Print(page)
	// Output: a page from inside the tunnel, for 10.2.0.42
}

// fetch reads a page from 10.2.0.1, a web server inside the tunnel.
func fetch(private key.Private, server key.Public, endpoint netip.AddrPort) (string, error) {
	address := netip.MustParsePrefix("10.2.0.42/32")
	stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{address}})
	if err != nil {
		return "", err
	}
	tunnel, err := wg.Open(wg.Options{Name: "client", Device: stack})
	if err != nil {
		return "", err
	}
	defer tunnel.Close()
	allowed := conf.AllowedIPChange{Prefix: netip.MustParsePrefix("10.2.0.1/32")}
	err = tunnel.Apply(conf.Change{PrivateKey: &private, Peers: []conf.PeerChange{{
		PublicKey: server, Endpoint: &endpoint, AllowedIPs: []conf.AllowedIPChange{allowed},
	}}})
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DialContext: stack.DialContext}}
	response, err := client.Get("http://10.2.0.1/")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	return string(page), err
}
