package main

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/cli"
)

// pingCount is how many echo requests are sent.
const pingCount = 4

// ping sends echo requests, one each second, and prints the answers as ping(8) does. The
// first one waits for the handshake.
func (p *proxyRun) ping(ctx context.Context, host string) error {
	to, err := p.pingTarget(ctx, host)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.call.Stdout, "PING %s (%v) 56(84) bytes of data.\n", host, to); err != nil {
		return err
	}
	start := time.Now()
	answers, sent := p.sendPings(ctx, to)
	var times []float64 // in milliseconds
	for a := range answers {
		if a.err != nil {
			p.call.Warnf("%v", a.err)
			continue
		}
		times = append(times, float64(a.took)/float64(time.Millisecond))
		fmt.Fprintf(p.call.Stdout, "64 bytes from %v: icmp_seq=%d time=%.3f ms\n", to, a.seq, times[len(times)-1])
	}
	p.printPings(host, int(sent.Load()), times, time.Since(start))
	if len(times) == 0 {
		return cli.Status(1)
	}
	return nil
}

type pingAnswer struct {
	seq  int
	took time.Duration
	err  error // why the request was not sent
}

// pingTimeout is how long an answer may take: longer than two attempts at a handshake.
const pingTimeout = 12 * time.Second

// sendPings sends the echo requests, whether they are answered or not, and returns their
// answers as they come, and how many were sent. It ends early when ctx is done.
func (p *proxyRun) sendPings(ctx context.Context, to netip.Addr) (<-chan pingAnswer, *atomic.Int32) {
	answers, sent := make(chan pingAnswer, pingCount), new(atomic.Int32)
	go func() {
		defer close(answers)
		var pings sync.WaitGroup
		defer pings.Wait()
		for ctx.Err() == nil {
			seq := int(sent.Add(1))
			pings.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, pingTimeout)
				defer cancel()
				took, err := p.tunnel.Ping(ctx, to)
				if ctx.Err() == nil || err == nil {
					answers <- pingAnswer{seq, took, err}
				}
			})
			if seq == pingCount {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(pingPause):
			}
		}
	}()
	return answers, sent
}

// pingTarget returns the address of a host inside the tunnel.
func (p *proxyRun) pingTarget(ctx context.Context, host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		if !hasFamily(p.tunnel.network.Addresses, a) {
			return a, fmt.Errorf("%v: the tunnel has no %s address, so nothing can be sent there: add one to Address in the file, or ping another address", a, familyOf(a))
		}
		return a, nil
	}
	list, err := p.tunnel.LookupNetIP(ctx, "ip", host)
	switch {
	case err != nil:
		return netip.Addr{}, err
	case len(list) == 0:
		return netip.Addr{}, fmt.Errorf("%s: the name has no address of a family that the tunnel has", host)
	}
	return list[0], nil
}

// printPings prints what ping(8) prints at its end.
func (p *proxyRun) printPings(host string, sent int, times []float64, took time.Duration) {
	lost := 100 * float64(sent-len(times)) / float64(max(sent, 1))
	fmt.Fprintf(p.call.Stdout, "\n--- %s ping statistics ---\n%d packets transmitted, %d received, %.4g%% packet loss, time %dms\n",
		host, sent, len(times), lost, took.Milliseconds())
	if len(times) == 0 {
		return
	}
	low, high, sum, squares := math.Inf(1), 0.0, 0.0, 0.0
	for _, t := range times {
		low, high = min(low, t), max(high, t)
		sum += t
		squares += t * t
	}
	mean := sum / float64(len(times))
	deviation := math.Sqrt(max(squares/float64(len(times))-mean*mean, 0))
	fmt.Fprintf(p.call.Stdout, "rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", low, mean, high, deviation)
}

func familyOf(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}
