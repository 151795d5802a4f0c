//go:build !race

package udp

import (
	"net/netip"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// Neither sockets of package net nor the adapter allocate, in steady state.
func TestPortableAllocatesNothing(t *testing.T) { // rule 10 of style
	a, b := portablePair(t, 0, Options{}), portablePair(t, 0, Options{})
	for _, g := range b.Groups() {
		host := "::1"
		if g == b.V4 {
			host = "127.0.0.1"
		}
		train := batch.Batch{Data: datagrams(0, 20, 1000, 10), Stride: 1000,
			Remote: wire.NewEndpoint(netip.AddrPortFrom(netip.MustParseAddr(host), b.Port()), netip.Addr{}, 0)}
		sender, receiver, bs := a.NewSender(), g.Socket(0).NewReceiver(), make([]batch.Batch, MaxDepth)
		for _, depth := range []int{1, MaxDepth} {
			allocs := testing.AllocsPerRun(100, func() {
				if err := sender.Send(&train); err != nil {
					t.Fatal(err)
				}
				for got := 0; got < train.Count(); {
					n, err := receiver.Recv(bs[:depth])
					if err != nil {
						t.Fatal(err)
					}
					for i := range n {
						got += bs[i].Count()
					}
				}
			})
			if allocs != 0 {
				t.Errorf("%s, depth %d: %v allocations", host, depth, allocs)
			}
		}
	}
}
