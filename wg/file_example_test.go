package wg_test

import (
	"fmt"

	"wgd/netstack"
	"wgd/wg"
)

// A tunnel from the text of a file of wg-quick, on a stack in this program.
func ExampleParseFile() {
	file, err := wg.ParseFile([]byte(`
		[Interface]
		PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
		Address = 10.2.0.42/24
		DNS = 10.2.0.1, corp.example

		[Peer]
		PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
		Endpoint = 192.0.2.123:1234
		AllowedIPs = 10.2.0.0/24
	`))
	check(err)
	stack, err := netstack.New(netstack.Options{
		Addresses: file.Addresses, MTU: file.MTU, NameServers: file.NameServers, Search: file.Search,
	})
	check(err)
	tunnel, err := wg.Open(wg.Options{Name: "wg0", Device: stack})
	check(err)
	defer tunnel.Close()
	check(tunnel.Apply(file.Change))
	file.Erase() // the tunnel has copies of the keys

	status := tunnel.Status()
	defer status.Erase()
	fmt.Println(file.Addresses, file.NameServers, file.Search)
	fmt.Println(status.Peers[0].Endpoint, status.Peers[0].AllowedIPs)
	// Output:
	// [10.2.0.42/24] [10.2.0.1] [corp.example]
	// 192.0.2.123:1234 [10.2.0.0/24]
}
