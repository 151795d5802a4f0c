package wg

import (
	"fmt"
	"strings"

	"wgd/conf"
	"wgd/internal/engine"
)

// maxNamed is how many peers of a change are named.
const maxNamed = 4

// describe says what a change contains, without keys; "" if that is nothing.
func describe(c *conf.Change) string {
	var list []string
	add := func(is bool, what string) {
		if is {
			list = append(list, what)
		}
	}
	add(c.PrivateKey != nil, "private key")
	add(c.ListenPort != nil, "listen port")
	add(c.FirewallMark != nil, "firewall mark")
	add(c.MSSClamp != nil, "MSS clamp")
	add(c.LentLimit != nil, "limit of lent peers")
	add(c.StampFloor != nil, "floor of timestamps")
	add(c.Tunables != (conf.TunablesChange{}), "tunables")
	add(c.ReplacePeers, "all other peers removed")
	for i := range min(len(c.Peers), maxNamed) {
		p := &c.Peers[i]
		var name string
		if p.Name != nil {
			name = *p.Name
		}
		what := "peer " + engine.PeerName(name, p.PublicKey)
		if p.Remove {
			what += " removed"
		}
		list = append(list, what)
	}
	if more := len(c.Peers) - maxNamed; more > 0 {
		list = append(list, fmt.Sprintf("%d more peers", more))
	}
	return strings.Join(list, ", ")
}
