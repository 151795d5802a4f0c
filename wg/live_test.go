package wg_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/wg"
)

// Peers are added and removed while the tunnel runs. The sessions of others are
// not disturbed.
func ExampleInterface_Apply() {
	server, serverKey := open("10.2.0.1/32")
	defer server.Close()
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.Status().ListenPort)
	for i, address := range []string{"10.2.0.2/32", "10.2.0.3/32"} {
		client, clientKey := open(address)
		defer client.Close()
		check(client.Apply(conf.Change{Peers: []conf.PeerChange{{
			PublicKey:  serverKey.Public(),
			Endpoint:   &at,
			AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.1/32")}},
		}}}))

		name := fmt.Sprint("client-", i+1)
		check(server.Apply(conf.Change{Peers: []conf.PeerChange{{
			PublicKey:  clientKey.Public(),
			Name:       &name,
			AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix(address)}},
		}}}))
		_, err := client.stack.Ping(context.Background(), netip.MustParseAddr("10.2.0.1"))
		check(err)
	}
	status := server.Status()
	defer status.Erase()
	for _, peer := range status.Peers {
		fmt.Println(peer.Name, peer.AllowedIPs, "heard from:", peer.RxBytes > 0)
	}
	check(server.Apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: status.Peers[0].PublicKey, Remove: true}}}))
	fmt.Println("peers now:", len(server.Status().Peers))
	// Output:
	// client-1 [10.2.0.2/32] heard from: true
	// client-2 [10.2.0.3/32] heard from: true
	// peers now: 1
}

// A program waits until a peer is connected, and logs what happens.
func ExampleInterface_Events() {
	server, serverKey := open("10.2.0.1/32")
	client, clientKey := open("10.2.0.42/32")
	defer client.Close()
	name := "laptop"
	check(server.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  clientKey.Public(),
		Name:       &name,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.42/32")}},
	}}}))
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.Status().ListenPort)
	keepalive := uint16(25) // seconds; the first one begins the handshake
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	events := server.Events(ctx) // ends when ctx is done or the tunnel is closed
	check(client.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey:           serverKey.Public(),
		Endpoint:            &at,
		PersistentKeepalive: &keepalive,
		AllowedIPs:          []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.1/32")}},
	}}}))

	for event := range events {
		fmt.Println(event.Kind, event.Name, event.Endpoint.Addr())
		if event.Kind == wg.HandshakeDone {
			server.Close()
		}
	}
	// Output:
	// endpoint-moved laptop 127.0.0.1
	// handshake-done laptop 127.0.0.1
}
