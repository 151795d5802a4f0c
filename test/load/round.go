package load

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
)

// Inner returns the address of a peer inside the tunnel.
func Inner(peer int) string { return fmt.Sprintf("10.%d.%d.0", peer>>8, peer&255) }

// udpRound sends datagrams to the inner addresses of j.Count peers in turn, again and
// again, j.PacketRate datagrams a second, or as fast as one thread can.
func udpRound(j Job) (func() (Reading, error), error) {
	if j.Count < 1 {
		return nil, errors.New("a round needs peers")
	}
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, err
	}
	file, err := conn.File()
	if err != nil {
		return nil, err
	}
	fd := int(file.Fd()) // in blocking mode
	to := make([]netip.AddrPort, j.Count)
	for i := range to {
		to[i] = netip.AddrPortFrom(netip.MustParseAddr(Inner(i)), port)
	}
	var packets, lost atomic.Uint64
	go func() {
		defer runtime.KeepAlive(file)
		n := burstFor(j.PacketRate)
		payload := make([]byte, max(j.Size, 1))
		o, p := newOutgoing(n), newPacer(n, j.PacketRate)
		for next := 0; ; p.wait() {
			for i := range o.list {
				o.set(i, payload)
				o.to(i, to[next])
				next = (next + 1) % len(to)
			}
			sent := o.send(fd)
			packets.Add(uint64(sent))
			lost.Add(uint64(n - sent))
		}
	}()
	return func() (Reading, error) {
		return Reading{Packets: packets.Load(), Lost: lost.Load(), Nanoseconds: Now()}, nil
	}, nil
}
