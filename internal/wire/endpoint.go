package wire

import "net/netip"

// An Endpoint is where a peer is reached, and from where: the remote UDP
// address, and the local address and interface on which its last authenticated
// datagram came in (A52, the "sticky source"). The zero Source leaves the
// choice to the routing table. Values are immutable and comparable.
//
// An IPv4-mapped address never stands in an Endpoint (A54): use NewEndpoint.
type Endpoint struct {
	Remote      netip.AddrPort
	Source      netip.Addr // zone-free; invalid when there is none
	SourceIndex uint32     // interface index of Source; 0 when there is none
}

// NewEndpoint unmaps IPv4-mapped addresses (A54) and keeps the scope of a
// link-local one.
func NewEndpoint(remote netip.AddrPort, source netip.Addr, index uint32) Endpoint {
	return Endpoint{
		Remote:      netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()),
		Source:      source.Unmap().WithZone(""),
		SourceIndex: index,
	}
}

// Sourceless is the endpoint with its sticky source forgotten.
func (e Endpoint) Sourceless() Endpoint { return Endpoint{Remote: e.Remote} }

// IsValid reports whether there is a remote address to send to.
func (e Endpoint) IsValid() bool { return e.Remote.IsValid() && e.Remote.Port() != 0 }
