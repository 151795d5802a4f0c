//go:build unix

package proxy

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkHop measures what a client on the same computer costs: the processor time for
// each 10^9 bytes, with the kernel's work. The hop is a stream that one goroutine writes, 1
// MB at a time, to a TCP connection over the loopback interface, and another one reads as
// Relay does, and drops. The relay sends it on through another such connection, so its
// tunnel costs as little as one can.
//
//	go test ./internal/proxy -run '^$' -bench Hop -count 9
func BenchmarkHop(b *testing.B) {
	b.Run("hop", func(b *testing.B) {
		measureHop(b, func(c net.Conn, bytes *atomic.Int64) {
			in := newReader(c)
			for data, err := in.read(); err == nil; data, err = in.read() {
				bytes.Add(int64(len(data)))
			}
		})
	})
	b.Run("relay", func(b *testing.B) {
		measureHop(b, func(c net.Conn, bytes *atomic.Int64) {
			from, to := tcpPair(b)
			go func() {
				buf := make([]byte, 1<<20)
				for n, err := to.Read(buf); err == nil; n, err = to.Read(buf) {
					bytes.Add(int64(n))
				}
			}()
			Relay(b.Context(), c, from)
		})
	})
}

// measureHop writes to one end of a connection for a second, while use reads from the other
// one.
func measureHop(b *testing.B, use func(c net.Conn, bytes *atomic.Int64)) {
	var bytes atomic.Int64
	client, server := tcpPair(b)
	go use(server, &bytes)
	go func() {
		buf := make([]byte, 1<<20)
		for _, err := client.Write(buf); err == nil; _, err = client.Write(buf) {
		}
	}()
	time.Sleep(100 * time.Millisecond)
	var sent, used float64
	for b.Loop() {
		before, cpu := bytes.Load(), ownCPU(b)
		time.Sleep(time.Second)
		sent += float64(bytes.Load()-before) / 1e9
		used += (ownCPU(b) - cpu).Seconds()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(used/sent, "s/GB")
	b.ReportMetric(8*sent/float64(b.N), "Gbit/s")
	client.Close()
	server.Close()
}

// tcpPair returns the ends of a connection over the loopback interface.
func tcpPair(b *testing.B) (client, server net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err == nil {
		server, err = l.Accept()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

// ownCPU returns the processor time that this process has used.
func ownCPU(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
