package load

import (
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// port is the port on which every sink listens.
const port = 5001

// chunk is how much a stream reads or writes in one call: much, as in a fast program.
const chunk = 1 << 20

// tcpSink reads from all connections.
func tcpSink(Job) (func() (Reading, error), error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return nil, err
	}
	var bytes, reads atomic.Uint64
	swallow := func(conn net.Conn) {
		defer conn.Close()
		buf := make([]byte, chunk)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			bytes.Add(uint64(n))
			reads.Add(1)
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go swallow(conn)
		}
	}()
	return func() (Reading, error) {
		return Reading{Bytes: bytes.Load(), Packets: reads.Load(), Nanoseconds: Now()}, nil
	}, nil
}

// tcpSource writes to all its streams, each at its part of the rate.
func tcpSource(j Job) (func() (Reading, error), error) {
	var bytes atomic.Uint64
	pour := func(conn net.Conn) {
		buf := make([]byte, chunk)
		if j.Rate > 0 {
			buf = buf[:32<<10]
		}
		began := time.Now()
		for sent := 0; ; {
			n, err := conn.Write(buf)
			if err != nil {
				return
			}
			sent += n
			bytes.Add(uint64(n))
			if j.Rate > 0 {
				due := float64(sent) * 8 / (j.Rate / float64(j.Streams)) * float64(time.Second)
				time.Sleep(time.Duration(due) - time.Since(began))
			}
		}
	}
	for range j.Streams {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(j.Remote, strconv.Itoa(port)), 10*time.Second)
		if err != nil {
			return nil, err
		}
		steady(conn.(*net.TCPConn))
		go pour(conn)
	}
	return func() (Reading, error) { return Reading{Bytes: bytes.Load(), Nanoseconds: Now()}, nil }, nil
}

// steady makes a stream send whatever its window allows, on every machine. The
// default of some machines is a congestion control that measures the path and
// paces itself, and a benchmark would measure that.
func steady(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for _, name := range []string{"cubic", "reno"} { // every kernel has the second
			if unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name) == nil {
				return
			}
		}
	})
}
