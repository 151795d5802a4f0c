package load

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"wgd/test/lab"
)

// SOCKS5At is where an IdleSOCKS5 expects the server.
const SOCKS5At = "127.0.0.1:1080"

// atATime is how many connections are made or used at the same time.
const atATime = 64

// tcpEcho sends back what it receives. A connection takes little memory.
func tcpEcho(Job) (func() (Reading, error), error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return nil, err
	}
	var open atomic.Int64
	echo := func(conn net.Conn) {
		defer conn.Close()
		open.Add(1)
		defer open.Add(-1)
		var buf [64]byte
		for {
			n, err := conn.Read(buf[:])
			if err == nil {
				_, err = conn.Write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go echo(conn)
		}
	}()
	return func() (Reading, error) { return Reading{Packets: uint64(open.Load()), Nanoseconds: Now()}, nil }, nil
}

// idleSOCKS5 opens connections to a TCPEcho, and uses each of them once. It uses all of
// them again on each request, and the reading is how many could be used.
func idleSOCKS5(j Job) (func() (Reading, error), error) {
	dial, remote := lab.SOCKS5(SOCKS5At), net.JoinHostPort(j.Remote, strconv.Itoa(port))
	conns := make([]net.Conn, j.Count)
	open := func(i int) (err error) {
		if conns[i], err = dial("tcp", remote); err == nil {
			err = useOnce(conns[i])
		}
		return err
	}
	if n, err := forEach(j.Count, open); err != nil {
		return nil, fmt.Errorf("%d of %d connections: %w", n, j.Count, err)
	}
	return func() (Reading, error) {
		n, err := forEach(j.Count, func(i int) error { return useOnce(conns[i]) })
		return Reading{Packets: uint64(n), Nanoseconds: Now()}, err
	}, nil
}

// useOnce sends a byte and waits for it to return.
func useOnce(conn net.Conn) error {
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

// forEach calls do for 0 to count-1, some at the same time. It returns how many
// succeeded, and an error.
func forEach(count int, do func(i int) error) (succeeded int, err error) {
	var next, done atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	for range min(atATime, count) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed.Store(&err)
					continue
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	if e := failed.Load(); e != nil {
		err = *e
	}
	return int(done.Load()), err
}
