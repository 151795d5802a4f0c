// Package nft sets the firewall rules that belong to a tunnel with a default route,
// through nftables by netlink: no other program is run.
package nft

import (
	"errors"
	"net/netip"
)

// A Guard is a table of nftables with the rules for one interface and one family:
//
//   - What comes from another interface to an address of the tunnel is dropped, unless
//     this host sent it: otherwise a neighbour could find out whether the host has the
//     address, and inject packets into the connections inside the tunnel.
//   - The answers to the tunnel's own datagrams get their mark, so that strict reverse
//     path filtering asks for the way back with that mark, and accepts them.
type Guard struct {
	Interface string       `json:"interface"`
	IPv6      bool         `json:"ipv6,omitempty"`
	Mark      uint32       `json:"mark"`
	Addresses []netip.Addr `json:"addresses"` // of the interface, in this family
}

// Table is the name of the table.
func (g Guard) Table() string { return "wgd-" + g.Interface }

// String is the table as nft(8) names it.
func (g Guard) String() string {
	if g.IPv6 {
		return "ip6 " + g.Table()
	}
	return "ip " + g.Table()
}

// ErrUnsupported is returned by Add if the kernel has no nftables, or lacks what the
// rules need.
var ErrUnsupported = errors.New("the kernel lacks nftables, or a part of it")

// The names of the chains, which say what they are called with.
const (
	preRaw     = "preraw"
	preMangle  = "premangle"
	postMangle = "postmangle"
)
