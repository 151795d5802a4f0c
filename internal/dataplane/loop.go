package dataplane

import (
	"net/netip"
	"time"

	"wgd/internal/clock"
	"wgd/internal/packet"
	"wgd/internal/wire"
)

// loopMemory is how long fragments are expected after the datagram's beginning.
const loopMemory = time.Second

// loop notices our own datagrams coming back: where the route to a peer's
// endpoint leads into the tunnel, each would be wrapped again without end. With
// fragmentation allowed outside (A46), fragments come back too, and of those
// but the first nobody can see the ports: they are taken for ours for a while
// after one that is.
type loop struct {
	to    netip.Addr
	until clock.Time
}

// has reports whether p, about to be sent to remote, is one of our datagrams,
// which we send from port.
func (l *loop) has(now clock.Time, p []byte, remote wire.Endpoint, port uint16) bool {
	from, to, udp, ok := packet.UDPPorts(p)
	if !udp {
		return false
	}
	if !ok {
		return now < l.until && packet.Destination(p) == l.to
	}
	if from != port || to != remote.Remote.Port() {
		return false
	}
	if a := packet.Destination(p); a == remote.Remote.Addr().WithZone("") {
		l.to, l.until = a, now.Add(loopMemory)
		return true
	}
	return false
}
