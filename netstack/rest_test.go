//go:build !race

package netstack

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// memoryInUse returns the bytes of the heap and of stacks that are in use, after
// a collection of garbage.
func memoryInUse() uint64 {
	runtime.GC()
	runtime.GC() // pools keep their content for one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// Of 10,000 idle connections, each takes at most 40 KB for both of its ends,
// which are in this process, and for two goroutines at each end, as in a relay.
func TestIdleConnectionsAreSmall(t *testing.T) {
	const (
		count = 10_000
		limit = 40_000 // bytes
	)
	a, b := pair(t)
	connect(t, a, b)
	l := listen(t, b)
	before := memoryInUse()
	var idle, ended sync.WaitGroup
	relay := func(conn net.Conn) {
		idle.Add(1)
		ended.Add(2)
		stop := make(chan struct{})
		go func() { <-stop; ended.Done() }()
		go func() {
			defer ended.Done()
			defer close(stop)
			conn.Write([]byte("hello"))
			got := make([]byte, 5)
			io.ReadFull(conn, got) // what the other end has written
			idle.Done()
			conn.Read(got) // returns when the stack is closed
		}()
	}
	accepted := make(chan error, 1)
	go func() {
		for range count {
			conn, err := l.Accept()
			if err != nil {
				accepted <- err
				return
			}
			relay(conn)
		}
		accepted <- nil
	}()
	for range count {
		relay(dial(t, a))
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	idle.Wait()
	each := int64(memoryInUse()-before) / count
	t.Logf("%d bytes for each of %d connections", each, count)
	if each > limit {
		t.Errorf("an idle connection takes %d bytes, want at most %d", each, limit)
	}
	a.Close()
	b.Close()
	ended.Wait()
}

// 100,000 SYNs from as many senders that do not exist, to a closed port and to an
// open one, leave the stack below 200 MB, and the open port usable.
func TestSYNsToNobody(t *testing.T) {
	const (
		count = 100_000
		limit = 200_000_000 // bytes
	)
	for _, port := range []uint16{81, 80} { // closed, open
		a, b := pair(t)
		connect(t, a, b)
		l := listen(t, b)
		before := memoryInUse()
		for i := range count {
			if err := b.Write(segment(uint32(i), port, header.TCPFlagSyn)); err != nil {
				t.Fatal(err)
			}
		}
		if used := int64(memoryInUse() - before); used > limit {
			t.Errorf("port %d: %d bytes in use after %d SYNs, want at most %d", port, used, count, limit)
		} else {
			t.Logf("port %d: %d bytes in use after %d SYNs", port, used, count)
		}
		go func() {
			if conn, err := l.Accept(); err == nil {
				io.Copy(conn, conn)
			}
		}()
		conn := dial(t, a)
		conn.SetDeadline(time.Now().Add(time.Minute))
		conn.Write([]byte("hello"))
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Errorf("port %d: a connection after %d SYNs: %v", port, count, err)
		}
		a.Close()
		b.Close()
	}
}

// A connection that nobody reads holds at most its own two buffers, and another
// connection is as usable as before.
func TestSlowReaderHoldsItsOwnStream(t *testing.T) {
	const (
		amount = 64 << 20
		limit  = maxSendBuffer + maxReceiveBuffer
	)
	a, b := pair(t)
	connect(t, a, b)
	l := listen(t, b)
	unread := dial(t, a)
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	before := memoryInUse()
	written := make(chan int64, 1)
	go func() {
		n, _ := io.CopyN(unread, zeros{}, amount)
		written <- n
	}()

	received := make(chan int64, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			received <- 0
			return
		}
		n, _ := io.Copy(io.Discard, conn)
		received <- n
	}()
	conn := dial(t, a)
	if _, err := io.CopyN(conn, zeros{}, amount); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := <-received; got != amount {
		t.Errorf("beside a connection that nobody reads, another received %d bytes, want %d", got, amount)
	}
	if used := int64(memoryInUse() - before); used > 2*limit {
		t.Errorf("%d bytes in use, want at most %d for each of two connections", used, limit)
	}
	unread.SetWriteDeadline(time.Now()) // Write returns
	if n := <-written; n > limit {
		t.Errorf("a connection that nobody reads accepted %d bytes, want at most %d", n, limit)
	}
}

// Of 100 tunnels with stacks in one process, which have a session and are at rest,
// each adds at most 2 MB to the resident memory, whatever it is used for.
func TestTunnelsAtRestAreSmall(t *testing.T) {
	const (
		count = 100
		limit = 2_000_000 // bytes
	)
	tunnels(t, 1) // what all tunnels share
	before := resident(t)
	for _, p := range tunnels(t, count/2) {
		send(t, p[0], p[1], 1)
	}
	each := (resident(t) - before) / count
	t.Logf("%d bytes for each of %d tunnels", each, count)
	if each > limit {
		t.Errorf("a tunnel at rest takes %d bytes, want at most %d", each, limit)
	}
}

// resident returns the resident memory of the process in bytes, after free memory
// was returned to the system.
func resident(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	debug.FreeOSMemory() // pools keep their content for one collection
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
