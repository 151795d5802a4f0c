package main

import (
	"fmt"
	"time"

	"wgd/test/lab"
	"wgd/test/stackload"
)

// stackProgram returns the name of the program that has the tunnel of a daemon, and
// a TCP/IP stack inside.
func stackProgram(daemon string) string { return daemon + "-stack" }

// stackHosts returns two hosts without daemons.
func (s *testbed) stackHosts(t lab.T) (a, b *lab.Host) {
	if s.stackA == nil {
		s.stackA, s.stackB = lab.Pair(t)
	}
	return s.stackA, s.stackB
}

// proxyAt is where the process of b serves SOCKS5.
const proxyAt = "127.0.0.1:1080"

// stackRun sends a TCP stream from b to a between stacks inside two processes, from
// a third one through SOCKS5 if it is proxied. The figures are Gbit/s at the
// receiver, and CPU seconds of both processes for each 10^9 bytes. They include the
// work of writing and reading.
func stackRun(proxied bool) measurement {
	return func(t lab.T, s *testbed, length time.Duration) []float64 {
		a, b := s.stackHosts(t)
		ka, kb := newKey(), newKey()
		program, remote := stackProgram(s.program), inner4A+":5001"
		sink := stackload.Start(a, program, stackload.Sink, stackload.Tunnel{
			Private: ka.private, Peer: kb.public, Address: inner4A, Port: portA, Remote: remote})
		defer sink.Stop()
		role := stackload.Source
		if proxied {
			role = stackload.Proxy
		}
		source := stackload.Start(b, program, role, stackload.Tunnel{
			Private: kb.private, Peer: ka.public, Address: inner4B, Endpoint: fmt.Sprint("192.0.2.1:", portA), Remote: remote, Proxy: proxyAt})
		defer source.Stop()
		if proxied {
			client := stackload.Start(b, program, stackload.Client, stackload.Tunnel{Remote: remote, Proxy: proxyAt})
			defer client.Stop()
		}
		time.Sleep(warmUp)
		at, from := sink.Ask(), source.Ask()
		time.Sleep(length)
		at, from = sink.Ask().Since(at), source.Ask().Since(from)
		if at.Bytes == 0 {
			t.Fatalf("%s: nothing arrived in %v", program, length)
		}
		return []float64{at.Gigabits(), float64(at.CPU+from.CPU) / float64(at.Bytes)}
	}
}
