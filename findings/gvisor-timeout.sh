#!/bin/sh
# After a timeout, a TCP connection of gVisor sends two segments for each further timeout if RACK is on.
#
# Guess:  When a path has carried nothing for 300 ms, a stream continues with slow start
#         (RFC 5681, section 3.1): a path of 20 ms needs some ten round trips, so there
#         are megabytes in the next three seconds. RACK (RFC 8985), which gVisor has on
#         by default, makes recoveries faster.
# Truth:  With RACK, only some kilobytes arrive in three seconds: two segments, then a
#         timeout of 200 ms, two segments, and so on until everything that was in flight
#         was sent again. Without RACK it is as guessed. The acknowledgement of
#         the segment that was sent again makes RACK mark all others as lost. So the
#         sender enters the recovery of SACK, where SetPipe counts segments as in flight
#         unless SACKs show that they are lost; it does not look at what RACK marked.
#         More seems to be in flight than the congestion window allows.
# Seen:   gvisor.dev/gvisor v0.0.0-20260905035102-160fafc42237 (branch go), Go 1.26,
#         Linux 6.18, 2026-11-29
# Source: pkg/tcpip/transport/tcp/snd.go: retransmitTimerExpired, handleRcvdSegment,
#         SetPipe; rack.go: update, detectLoss, DoRecovery
# Needs:  go, and a Go proxy
set -eu

not_tried() {
	echo "NOT TRIED: $1" >&2
	exit 77
}
command -v go >/dev/null || not_tried "there is no go"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'END'
module outage

go 1.26

require gvisor.dev/gvisor v0.0.0-20260905035102-160fafc42237
END
cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

const (
	delay  = 10 * time.Millisecond
	warmUp = time.Second
	outage = 300 * time.Millisecond
	length = 3 * time.Second
)

func newStack(address tcpip.Address, rack tcpip.TCPRecovery) (*stack.Stack, *channel.Endpoint) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocolCUBIC},
	})
	sack := tcpip.TCPSACKEnabled(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &rack)
	ep := channel.New(1<<16, 1420, "")
	s.CreateNIC(1, ep)
	s.AddProtocolAddress(1, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: address.WithPrefix()}, stack.AddressProperties{})
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	return s, ep
}

type flight struct {
	at   time.Time
	data []byte
}

// forward delivers each packet after the delay, except while the path is down.
func forward(from, to *channel.Endpoint, down *atomic.Bool) {
	departed := make(chan flight, 1<<17)
	go func() {
		for {
			p := from.ReadContext(context.Background())
			if p == nil {
				return
			}
			if !down.Load() {
				departed <- flight{time.Now().Add(delay), p.ToView().ToSlice()}
			}
			p.DecRef()
		}
	}()
	go func() {
		for f := range departed {
			time.Sleep(time.Until(f.at))
			p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(f.data)})
			to.InjectInbound(ipv4.ProtocolNumber, p)
			p.DecRef()
		}
	}()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// after returns how many bytes of a stream are received in three seconds after an outage.
func after(rack tcpip.TCPRecovery) int64 {
	addressA, addressB := tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), tcpip.AddrFrom4([4]byte{10, 0, 0, 2})
	a, from := newStack(addressA, rack)
	b, to := newStack(addressB, rack)
	var down atomic.Bool
	forward(from, to, &down)
	forward(to, from, &down)
	at := tcpip.FullAddress{NIC: 1, Addr: addressB, Port: 80}
	l, err := gonet.ListenTCP(b, at, ipv4.ProtocolNumber)
	if err != nil {
		panic(err)
	}
	var received atomic.Int64
	go func() {
		conn, err := l.Accept()
		for buf := make([]byte, 1<<20); err == nil; {
			var n int
			n, err = conn.Read(buf)
			received.Add(int64(n))
		}
	}()
	conn, err := gonet.DialTCP(a, at, ipv4.ProtocolNumber)
	if err != nil {
		panic(err)
	}
	go io.Copy(conn, zeros{})
	time.Sleep(warmUp)
	down.Store(true)
	time.Sleep(outage)
	before := received.Load()
	down.Store(false)
	time.Sleep(length)
	got := received.Load() - before
	fmt.Printf("RACK %v: %d bytes before, %d in three seconds after the outage, %d timeouts\n",
		rack != 0, before, got, a.Stats().TCP.Timeouts.Value())
	conn.Close()
	return got
}

func main() {
	// A tail loss probe that arrives saves a connection, so the first of a few attempts
	// may show nothing.
	for range 4 {
		if with, without := after(tcpip.TCPRACKLossDetection), after(0); with < without/10 {
			return
		}
	}
	fmt.Println("With RACK as well, a connection recovers from a timeout.")
	os.Exit(1)
}
END
# The sums of all modules are checked against the public database.
GOFLAGS=-mod=mod go build -o outage . >build.log 2>&1 || { cat build.log >&2; not_tried "gVisor cannot be downloaded or built"; }
if ! ./outage; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
