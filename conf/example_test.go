package conf_test

import (
	"errors"
	"fmt"
	"net/netip"

	"wgd/conf"
	"wgd/key"
)

// A Change is checked as a whole, before or by Apply of an Interface.
func ExampleChange_Validate() {
	public, err := key.ParsePublic("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")
	if err != nil {
		fmt.Println(err)
		return
	}
	name := "office"
	change := conf.Change{Peers: []conf.PeerChange{{
		PublicKey:  public,
		Name:       &name,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.0/24")}},
	}}}
	fmt.Println(change.Validate())

	name = "an office"
	fmt.Println(errors.Is(change.Validate(), conf.ErrInvalid))
	// Output:
	// <nil>
	// true
}
