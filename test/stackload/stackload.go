// Package stackload sends a TCP stream between two processes, each of which has a
// tunnel and a TCP/IP stack inside. Programs for different implementations of
// both call Become, and a benchmark starts them on simulated hosts.
package stackload

import (
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"wgd/test/lab"
)

// A Tunnel says what a program opens. Keys are in hexadecimal.
type Tunnel struct {
	Private, Peer string
	Address       string // inside
	Port          int    // outside; 0 means any
	Endpoint      string // of the peer, or ""
	Remote        string // address inside and port, of the sink
	Proxy         string // address and port of a SOCKS5 server outside
}

// A Reading is what a program has done so far.
type Reading struct {
	Bytes       uint64
	Nanoseconds int64 // of the monotonic clock
	CPU         int64 // nanoseconds of this process
}

// Since returns the difference from an earlier reading.
func (r Reading) Since(before Reading) Reading {
	return Reading{r.Bytes - before.Bytes, r.Nanoseconds - before.Nanoseconds, r.CPU - before.CPU}
}

// Gigabits returns the rate of a reading, in 10^9 bits a second.
func (r Reading) Gigabits() float64 { return float64(r.Bytes) * 8 / float64(r.Nanoseconds) }

// A Stack is the TCP/IP stack of an open tunnel.
type Stack interface {
	Dial(network, address string) (net.Conn, error)
	Listen(network, address string) (net.Listener, error)
}

// A Server is a Stack that can be reached through SOCKS5.
type Server interface {
	Stack
	// ServeSOCKS5 serves the clients of a listener, in other goroutines.
	ServeSOCKS5(net.Listener)
}

// A Worker is a process that Start started.
type Worker = lab.Worker[Reading]

// The roles of a worker.
const (
	Sink   = "sink"   // reads from one connection to the port of Remote
	Source = "source" // connects to Remote, and writes
	Proxy  = "proxy"  // serves SOCKS5 at Proxy, into the tunnel
	Client = "client" // has no tunnel; connects to Remote through Proxy, and writes
)

// Start starts a program on a host: one that lab.Build or lab.BuildFrom built.
func Start(h *lab.Host, program, role string, t Tunnel) *Worker {
	return lab.Crew[Tunnel, Reading]{}.StartProgram(h, program, role, t)
}

// chunk is how much is read or written in one call.
const chunk = 1 << 20

// Become runs the worker, whose tunnel is opened by open. It returns if this
// process was not started as a worker.
func Become(open func(Tunnel) (Stack, error)) {
	var bytes atomic.Uint64
	answer := func() (Reading, error) {
		var u unix.Rusage
		var now unix.Timespec
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			return Reading{}, err
		}
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return Reading{}, err
		}
		return Reading{bytes.Load(), now.Nano(), u.Utime.Nano() + u.Stime.Nano()}, nil
	}
	role := func(run func(Stack, Tunnel, *atomic.Uint64) error) func(Tunnel) (func() (Reading, error), error) {
		return func(t Tunnel) (func() (Reading, error), error) {
			s, err := open(t)
			if err != nil {
				return nil, err
			}
			return answer, run(s, t, &bytes)
		}
	}
	lab.Crew[Tunnel, Reading]{
		Sink:   role(sink),
		Source: role(func(s Stack, t Tunnel, bytes *atomic.Uint64) error { return source(s.Dial, t.Remote, bytes) }),
		Proxy:  role(proxy),
		Client: func(t Tunnel) (func() (Reading, error), error) {
			return answer, source(lab.SOCKS5(t.Proxy), t.Remote, &bytes)
		},
	}.Become()
}

// sink counts what arrives.
func sink(s Stack, t Tunnel, bytes *atomic.Uint64) error {
	l, err := s.Listen("tcp", t.Remote)
	if err != nil {
		return err
	}
	go func() {
		conn, err := l.Accept()
		buf := make([]byte, chunk)
		for err == nil {
			var n int
			n, err = conn.Read(buf)
			bytes.Add(uint64(n))
		}
	}()
	return nil
}

// source connects, as soon as the sink is there, and counts what it has written.
func source(dial func(network, address string) (net.Conn, error), address string, bytes *atomic.Uint64) error {
	conn, err := dial("tcp", address)
	for end := time.Now().Add(10 * time.Second); err != nil; conn, err = dial("tcp", address) {
		if time.Now().After(end) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	go func() {
		buf := make([]byte, chunk)
		for err == nil {
			var n int
			n, err = conn.Write(buf)
			bytes.Add(uint64(n))
		}
	}()
	return nil
}
