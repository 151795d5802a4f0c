package netstack

import (
	"io"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/ports"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// maxDatagrams is how many datagrams wait in a UDP socket to be read. Others are
// dropped. The stack itself limits only the bytes of their data, to 212 KiB, while
// each datagram takes some 800 bytes of memory more.
const maxDatagrams = 1024

// A udpEndpoint is a UDP endpoint of the stack whose queue of received datagrams has
// a limited length. The stack delivers datagrams to it, and it passes them on.
type udpEndpoint struct {
	tcpip.Endpoint
	inner stack.TransportEndpoint // the same endpoint
	stats *tcpip.TransportEndpointStats
	read  atomic.Uint64 // how many datagrams have left the queue

	stack   *stack.Stack
	network []tcpip.NetworkProtocolNumber
	id      stack.TransportEndpointID // where it is registered
}

// limitDatagrams registers a udpEndpoint in place of ep, which is bound or connected.
// The port stays reserved for ep, so no other socket can take it meanwhile.
func limitDatagrams(s *stack.Stack, ep tcpip.Endpoint, network tcpip.NetworkProtocolNumber) (*udpEndpoint, tcpip.Error) {
	u := &udpEndpoint{
		Endpoint: ep,
		inner:    ep.(stack.TransportEndpoint),
		stats:    ep.Stats().(*tcpip.TransportEndpointStats),
		stack:    s,
		network:  []tcpip.NetworkProtocolNumber{network},
		id:       ep.Info().(*stack.TransportEndpointInfo).ID,
	}
	s.UnregisterTransportEndpoint(u.network, udp.ProtocolNumber, u.id, u.inner, ports.Flags{}, 0)
	if err := s.RegisterTransportEndpoint(u.network, udp.ProtocolNumber, u.id, u, ports.Flags{}, 0); err != nil {
		return nil, err
	}
	return u, nil
}

// HandlePacket passes a received datagram to the endpoint if its queue has room.
func (u *udpEndpoint) HandlePacket(id stack.TransportEndpointID, p *stack.PacketBuffer) {
	if u.waiting() < maxDatagrams {
		u.inner.HandlePacket(id, p)
	}
}

// waiting returns how many datagrams are in the queue. While others read, it may be
// too large by their number.
func (u *udpEndpoint) waiting() int64 {
	failed := &u.stats.ReceiveErrors
	read := u.read.Load()
	return int64(u.stats.PacketsReceived.Value() - failed.ReceiveBufferOverflow.Value() - failed.ClosedReceiver.Value() - read)
}

// Read implements tcpip.Endpoint.
func (u *udpEndpoint) Read(to io.Writer, o tcpip.ReadOptions) (tcpip.ReadResult, tcpip.Error) {
	result, err := u.Endpoint.Read(to, o)
	// A datagram that does not fit at all into the buffer has left the queue too.
	if _, tooLong := err.(*tcpip.ErrBadBuffer); err == nil || tooLong {
		u.read.Add(1)
	}
	return result, err
}

// HandleError implements stack.TransportEndpoint.
func (u *udpEndpoint) HandleError(err stack.TransportError, p *stack.PacketBuffer) {
	u.inner.HandleError(err, p)
}

// Abort implements tcpip.Endpoint and stack.TransportEndpoint.
func (u *udpEndpoint) Abort() { u.Close() }

// Wait implements stack.TransportEndpoint.
func (u *udpEndpoint) Wait() { u.inner.Wait() }

// Close implements tcpip.Endpoint. The endpoint releases the port, so its
// registration ends before.
func (u *udpEndpoint) Close() {
	u.stack.UnregisterTransportEndpoint(u.network, udp.ProtocolNumber, u.id, u, ports.Flags{}, 0)
	u.Endpoint.Close()
}
