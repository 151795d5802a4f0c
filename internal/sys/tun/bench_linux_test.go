package tun

import (
	"fmt"
	"net"
	"testing"

	"wgd/internal/sys/netns/netnstest"
)

// BenchmarkQueues reads and writes one packet, with an interface for one queue and with
// one for several.
func BenchmarkQueues(b *testing.B) {
	for _, queues := range []int{1, 8} {
		for _, size := range []int{64, 1300} {
			b.Run(fmt.Sprintf("%d/%d", queues, size), func(b *testing.B) {
				ownNetwork(b)
				d, err := Create("wgtest", Options{Queues: queues})
				if err != nil {
					netnstest.LeaveOut(b, "a TUN device, and so root", err)
				}
				defer d.Close()
				benchmarkQueue(b, openFirst(d), size)
			})
		}
	}
}

func benchmarkQueue(b *testing.B, d opened, size int) {
	up(b, "wgtest", 1420, "10.9.0.1/24")
	c, err := net.Dial("udp4", "10.9.0.2:9")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	payload, buf := make([]byte, size), make([]byte, BufferSize)
	pieces := [][]byte{make([]byte, HeaderSize), ipv4UDP(7777, payload)}
	for b.Loop() {
		if _, err := c.Write(payload); err != nil {
			b.Fatal(err)
		}
		if _, err := d.Read(buf); err != nil {
			b.Fatal(err)
		}
		if err := d.Write(pieces); err != nil {
			b.Fatal(err)
		}
	}
}
