package load

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// Inner returns the address of a peer inside the tunnel.
func Inner(peer int) string { return fmt.Sprintf("10.%d.%d.0", peer>>8, peer&255) }

// udpRound sends datagrams to the inner addresses of j.Count peers in turn, again and
// again, j.PacketRate datagrams a second.
func udpRound(j Job) (func() (Reading, error), error) {
	if j.Count < 1 || j.PacketRate <= 0 {
		return nil, errors.New("a round needs peers and a rate of packets")
	}
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, err
	}
	to := make([]netip.AddrPort, j.Count)
	for i := range to {
		to[i] = netip.AddrPortFrom(netip.MustParseAddr(Inner(i)), port)
	}
	var packets, lost atomic.Uint64
	go func() {
		const interval = 5 * time.Millisecond
		payload := make([]byte, max(j.Size, 1))
		next := 0
		for begun := time.Now(); ; time.Sleep(interval) {
			due := time.Since(begun).Seconds()*j.PacketRate - float64(packets.Load()+lost.Load())
			for ; due >= 1; due-- {
				if _, err := conn.WriteToUDPAddrPort(payload, to[next]); err != nil {
					lost.Add(1)
				} else {
					packets.Add(1)
				}
				next = (next + 1) % len(to)
			}
		}
	}()
	return func() (Reading, error) {
		return Reading{Packets: packets.Load(), Lost: lost.Load(), Nanoseconds: Now()}, nil
	}, nil
}
