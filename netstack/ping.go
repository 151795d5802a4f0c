package netstack

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// pingData is the length of the data in an echo request in bytes, the same as
// that of ping(8).
const pingData = 56

// Ping sends one ICMP echo request and returns the time until its reply. It
// waits until ctx is done, and then returns an error that wraps that of ctx. If the
// stack was closed, the error wraps net.ErrClosed.
func (s *Stack) Ping(ctx context.Context, to netip.Addr) (time.Duration, error) {
	to = to.Unmap()
	took, err := s.ping(ctx, to)
	if err != nil {
		return 0, fmt.Errorf("ping %v: %w", to, s.because(err))
	}
	return took, nil
}

func (s *Stack) ping(ctx context.Context, to netip.Addr) (time.Duration, error) {
	var queue waiter.Queue
	transport, network := icmp.ProtocolNumber6, ipv6.ProtocolNumber
	if to.Is4() {
		transport, network = icmp.ProtocolNumber4, ipv4.ProtocolNumber
	}
	ep, failure := s.stack.NewEndpoint(transport, network, &queue)
	if failure != nil {
		return 0, errors.New(failure.String())
	}
	defer ep.Close()
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)

	start := time.Now()
	full := tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(to.AsSlice())}
	request := echoRequest(to, start)
	if _, failure := ep.Write(bytes.NewReader(request), tcpip.WriteOptions{To: &full}); failure != nil {
		return 0, errors.New(failure.String())
	}
	for {
		var reply bytes.Buffer
		_, failure := ep.Read(&reply, tcpip.ReadOptions{})
		switch failure.(type) {
		case nil:
			if isReply(to, request, reply.Bytes()) {
				return time.Since(start), nil
			}
			continue
		case *tcpip.ErrWouldBlock:
		default:
			return 0, errors.New(failure.String())
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return 0, fmt.Errorf("no reply: %w", ctx.Err())
		}
	}
}

// echoRequest returns a request with the time as its data, which no other
// request has. The stack fills in the identifier.
func echoRequest(to netip.Addr, at time.Time) []byte {
	const size = header.ICMPv4MinimumSize // the same for IPv6
	b := make([]byte, size+pingData)
	binary.BigEndian.PutUint64(b[size:], uint64(at.UnixNano()))
	if to.Is4() {
		h := header.ICMPv4(b)
		h.SetType(header.ICMPv4Echo)
		h.SetChecksum(^checksum.Checksum(b, 0))
	} else {
		header.ICMPv6(b).SetType(header.ICMPv6EchoRequest) // the stack writes the checksum
	}
	return b
}

// isReply reports whether reply is an echo reply with the data of request.
func isReply(to netip.Addr, request, reply []byte) bool {
	const size = header.ICMPv4MinimumSize
	if len(reply) != len(request) || !bytes.Equal(request[size:], reply[size:]) {
		return false
	}
	if to.Is4() {
		return header.ICMPv4(reply).Type() == header.ICMPv4EchoReply
	}
	return header.ICMPv6(reply).Type() == header.ICMPv6EchoReply
}
