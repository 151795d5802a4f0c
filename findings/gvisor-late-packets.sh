#!/bin/sh
# A TCP connection of gVisor becomes slow if a few packets overtake others, with RACK as well.
#
# Guess:  gVisor has RACK (RFC 8985), whose purpose is that late packets are not taken
#         for lost ones. So a stream through a path of 66 ms, of which 1 % of the packets
#         are late by 5 ms, is about as fast as through one without late packets, as it
#         is with Linux at both ends.
# Truth:  It is slower by a factor of 20 and more, though RACK, SACK and CUBIC are on and
#         there are only a few retransmissions. Outside of a recovery, sender.SetPipe
#         returns without doing anything, and handleRcvdSegment does not subtract
#         what was reported by SACK before ("already been accounted for in SetPipe").
#         So each late packet leaves segments counted as outstanding that are not, until
#         nothing is outstanding at all, and the connection has less and less in flight.
#         Besides, the first three late packets are a loss, and a window that was
#         reduced without need is not restored.
# Seen:   gvisor.dev/gvisor v0.0.0-20260905035102-160fafc42237 (branch go), Go 1.26,
#         Linux 6.18, 2026-11-29
# Source: pkg/tcpip/transport/tcp/snd.go: SetPipe, handleRcvdSegment, leaveRecovery;
#         https://github.com/google/gvisor/issues/14092, open since 2026-08-12
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
module late

go 1.26

require gvisor.dev/gvisor v0.0.0-20260905035102-160fafc42237
END
cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
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
	delay  = 33 * time.Millisecond
	extra  = 5 * time.Millisecond
	warmUp = 3 * time.Second
	length = 3 * time.Second
)

func newStack(address tcpip.Address) (*stack.Stack, *channel.Endpoint) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocolCUBIC},
	})
	sack, rack := tcpip.TCPSACKEnabled(true), tcpip.TCPRACKLossDetection
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

// forward delivers each packet after the delay, and a share of them later.
func forward(from, to *channel.Endpoint, share float64) {
	onTime, late := make(chan flight, 1<<17), make(chan flight, 1<<17)
	go func() {
		for {
			p := from.ReadContext(context.Background())
			if p == nil {
				return
			}
			f := flight{time.Now().Add(delay), p.ToView().ToSlice()}
			p.DecRef()
			if rand.Float64() < share {
				f.at = f.at.Add(extra)
				late <- f
			} else {
				onTime <- f
			}
		}
	}()
	for _, queue := range []chan flight{onTime, late} {
		go func() {
			for f := range queue {
				time.Sleep(time.Until(f.at))
				p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(f.data)})
				to.InjectInbound(ipv4.ProtocolNumber, p)
				p.DecRef()
			}
		}()
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// rate returns the Mbit/s of one stream.
func rate(share float64) float64 {
	addressA, addressB := tcpip.AddrFrom4([4]byte{10, 0, 0, 1}), tcpip.AddrFrom4([4]byte{10, 0, 0, 2})
	a, from := newStack(addressA)
	b, to := newStack(addressB)
	forward(from, to, share)
	forward(to, from, share)
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
	before := received.Load()
	time.Sleep(length)
	mbit := float64(received.Load()-before) * 8 / 1e6 / length.Seconds()
	stats := a.Stats().TCP
	fmt.Printf("%.0f %% late: %.1f Mbit/s, %d segments sent, %d again, %d recoveries\n",
		100*share, mbit, stats.SegmentsSent.Value(), stats.Retransmits.Value(), stats.SACKRecovery.Value())
	conn.Close()
	return mbit
}

func main() {
	without, with := rate(0), rate(0.01)
	if with > without/4 {
		fmt.Println("Late packets cost less than three quarters of the rate.")
		os.Exit(1)
	}
}
END
# The sums of all modules are checked against the public database.
GOFLAGS=-mod=mod go build -o late . >build.log 2>&1 || { cat build.log >&2; not_tried "gVisor cannot be downloaded or built"; }
if ! ./late; then
	echo "It is no longer so."
	exit 1
fi
echo "It is still so."
