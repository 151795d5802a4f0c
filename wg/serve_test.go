package wg_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"wgd/conf"
)

// A web server that only the peers of a tunnel reach: no port of this computer is
// open but the tunnel's. Each peer is known by its address inside the tunnel.
func Example_serve() {
	server, serverKey := open("10.2.0.1/32")
	defer server.Close()
	listener, err := server.stack.Listen("tcp", "10.2.0.1:80")
	check(err)
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := netip.MustParseAddrPort(r.RemoteAddr).Addr()
		fmt.Fprintf(w, "hello %v, you asked for %s\n", from, r.URL.Path)
	}))

	client, clientKey := open("10.2.0.42/32")
	defer client.Close()
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
	browser := http.Client{Transport: &http.Transport{DialContext: client.stack.DialContext}}
	response, err := browser.Get("http://10.2.0.1/news")
	check(err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	check(err)
	fmt.Print(string(page))
	// Output: hello 10.2.0.42, you asked for /news
}
