package main

import (
	"fmt"
	"net/netip"
	"time"

	"wgd/test/lab"
	"wgd/test/load"
)

// A third host has a tunnel to host a of the pair, on a wire of its own, through which it
// sends a thousand packets a second.
type third struct {
	host *lab.Host
	cpu  func() time.Duration
	keys keys
}

const inner4C = "10.2.0.3"

// thirdHost returns the third host.
func (s *testbed) thirdHost(t lab.T) *third {
	p := s.tunnel(t)
	if s.third != nil {
		return s.third
	}
	c := &third{host: lab.NewHost(t, "third"), keys: newKey()}
	lab.Link(p.a, "eth1", []string{"198.51.100.1/24"}, c.host, "eth0", []string{"198.51.100.2/24"})
	d := startDaemon(c.host, s.program, s.nice)
	d.Set("private_key="+c.keys.private,
		"public_key="+p.ka.public, "allowed_ip="+inner4A+"/32", fmt.Sprintf("endpoint=198.51.100.1:%d", portA))
	p.da.Set("public_key="+c.keys.public, "allowed_ip="+inner4C+"/32")
	c.host.Must("ip addr add %s/24 dev wg0 && ip link set wg0 mtu 1420 up", inner4C)
	c.host.PingWithin(10*time.Second, inner4A)
	c.cpu = func() time.Duration { return d.Stat().CPU }
	s.third = c
	return c
}

// streamCaptured sends TCP from b to a, while the third host sends as well, and host a
// captures the packets of one of them, or none. The figures are those of stream.
func streamCaptured(captured side) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		p, c := s.tunnel(t), s.thirdHost(t)
		flow := c.host.StartFlow(lab.Flow{Remote: netip.MustParseAddrPort(inner4A + ":9"), Size: 1200, Interval: time.Millisecond})
		defer c.host.StopFlow(flow)
		peer := ""
		switch captured {
		case oursBeside:
			peer = c.keys.public
		case oursCaptured:
			peer = p.kb.public
		}
		if peer != "" {
			p.a.Must("wgd capture wg0 %s > /dev/null 2> /run/capture.said & echo $! > /run/capture.pid", peer[:8])
			defer func() {
				p.a.Must("kill $(cat /run/capture.pid); while kill -0 $(cat /run/capture.pid) 2> /dev/null; do sleep 0.05; done")
				said := p.a.Must("tail -n 1 /run/capture.said")
				var packets int
				if fmt.Sscanf(said, "%d packets captured", &packets); packets < 1000 {
					t.Fatalf("wgd capture says %q", said)
				}
			}()
		}
		return stream(load.Job{Streams: 1})(t, s, length)
	}
}
