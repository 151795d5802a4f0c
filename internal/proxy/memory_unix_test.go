//go:build unix

package proxy

import (
	"io"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// maxIdleBytes is what an idle connection may cost in this room, with both sockets.
// The whole limit is 40 KB; the rest is for the tunnel's side.
const maxIdleBytes = 25 << 10

// TestIdleMemory: connections without traffic cost little, even after there was
// much.
func TestIdleMemory(t *testing.T) {
	count := 2000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if possible := (int(min(limit.Cur, 1<<20)) - 500) / 4; possible < count {
		t.Logf("only %d connections, because of the limit of open files", possible)
		count = possible
	}
	const burst = 2 * largeBuffer
	server := serveEach(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.Write(make([]byte, burst))
		var one [1]byte
		c.Read(one[:])
	})
	address := start(t, (&SOCKS5{Tunnel: &loopback{}}).Serve)
	before := inUse()
	buf := make([]byte, burst)
	conns := make([]*net.TCPConn, count)
	for i := range conns {
		c := open(t, address)
		send(t, c, append(connectTo(server), 'x')...)
		expectReply(t, c, succeeded)
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Fatal(err)
		}
		conns[i] = c
	}
	each := (inUse() - before) / int64(count)
	t.Logf("%d bytes for each of %d connections, both ends included", each, count)
	if each > maxIdleBytes {
		t.Errorf("an idle connection costs %d bytes, over %d", each, maxIdleBytes)
	}
	runtime.KeepAlive(conns)
}

// inUse returns the bytes of heap and stacks that are in use.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // twice, for what is in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
