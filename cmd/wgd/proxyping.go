package main

import (
	"context"
	"fmt"
	"math"
	"net/netip"
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
	var times []float64 // in milliseconds
	start, sent := time.Now(), 0
	for sent < pingCount && ctx.Err() == nil {
		next := time.Now().Add(pingPause)
		sent++
		took, err := p.pingOnce(ctx, to)
		if err == nil {
			times = append(times, float64(took)/float64(time.Millisecond))
			fmt.Fprintf(p.call.Stdout, "64 bytes from %v: icmp_seq=%d time=%.3f ms\n", to, sent, times[len(times)-1])
		}
		if sent < pingCount {
			select {
			case <-ctx.Done():
			case <-time.After(time.Until(next)):
			}
		}
	}
	p.printPings(host, sent, times, time.Since(start))
	if len(times) == 0 {
		return cli.Status(1)
	}
	return nil
}

// pingTimeout is how long an answer may take: longer than two attempts at a handshake.
const pingTimeout = 12 * time.Second

func (p *proxyRun) pingOnce(ctx context.Context, to netip.Addr) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return p.tunnel.Ping(ctx, to)
}

// pingTarget returns the address of a host inside the tunnel.
func (p *proxyRun) pingTarget(ctx context.Context, host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap(), nil
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
