package wire

import "net/netip"

// An Endpoint is the remote UDP address of a peer, with the local address and
// interface at which its last authenticated datagram arrived (A52, the "sticky
// source"). The zero Source leaves the choice to the routing table. Values are
// immutable and comparable.
//
// An Endpoint never contains an IPv4-mapped address (A54): use NewEndpoint.
type Endpoint struct {
	Remote      netip.AddrPort
	Source      netip.Addr // without zone; invalid if there is none
	SourceIndex uint32     // interface index of Source; 0 if there is none
}

// NewEndpoint returns an Endpoint with IPv4-mapped addresses turned into IPv4
// addresses (A54). It keeps the scope of a link-local remote address.
func NewEndpoint(remote netip.AddrPort, source netip.Addr, index uint32) Endpoint {
	return Endpoint{
		Remote:      netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()),
		Source:      source.Unmap().WithZone(""),
		SourceIndex: index,
	}
}

// Sourceless returns the endpoint without its sticky source.
func (e Endpoint) Sourceless() Endpoint { return Endpoint{Remote: e.Remote} }

// LinkLocal reports whether one of the addresses is link-local, so that it has a
// meaning on one interface only.
func (e Endpoint) LinkLocal() bool {
	return e.Source.IsLinkLocalUnicast() || e.Remote.Addr().IsLinkLocalUnicast()
}

// IsValid reports whether there is a remote address to send to.
func (e Endpoint) IsValid() bool { return e.Remote.IsValid() && e.Remote.Port() != 0 }
