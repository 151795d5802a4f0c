package wg_test

import (
	"context"
	"fmt"
	"net/netip"

	"wgd/conf"
	"wgd/key"
	"wgd/wg"
)

// A server knows a million peers, in a database for example, and its interface has only
// those that have been heard. The first packet of a client waits until its peer is
// added.
func ExampleInterface_Wants() {
	server, serverKey := open("10.2.0.1/32")
	client, clientKey := open("10.2.0.42/32")
	defer server.Close()
	defer client.Close()
	database := map[key.Public]string{clientKey.Public(): "10.2.0.42/32"}

	ready := make(chan bool)
	go func() {
		for want := range server.Wants(context.Background()) {
			switch want.Kind {
			case conf.WantsBegin:
				close(ready)
			case conf.UnknownPeerKey:
				bring(server.Interface, database, want)
			}
		}
	}()
	<-ready

	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.Status().ListenPort)
	check(client.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  serverKey.Public(),
		Endpoint:   &at,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.1/32")}},
	}}}))
	listener, err := server.stack.Listen("tcp", "10.2.0.1:80")
	check(err)
	go func() {
		conn, err := client.stack.DialContext(context.Background(), "tcp", "10.2.0.1:80")
		check(err)
		conn.Close()
	}()
	conn, err := listener.Accept()
	check(err)
	fmt.Println(conn.RemoteAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Addr())
	conn.Close()
	// Output: 10.2.0.42
}

func bring(w *wg.Interface, database map[key.Public]string, want conf.Want) {
	prefix, known := database[want.Key]
	if !known {
		w.Refuse(conf.Refusal{Key: want.Key, For: conf.MaxRefusal})
		return
	}
	check(w.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  want.Key,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix(prefix)}},
	}}}))
}
