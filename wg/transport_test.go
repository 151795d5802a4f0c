package wg_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/asynctest"
	"wgd/key"
	"wgd/netstack"
	"wgd/wg"
)

// A badHost is a host whose network loses and reorders trains, and whose calls return
// errors.
type badHost struct {
	host
	loss, late, failed int // one in this number of trains, beginning with the tenth; 0: none
	faults             *atomic.Int64
}

func (h badHost) Open(port uint16) (wg.Conn, error) {
	c, err := h.host.Open(port)
	if err != nil {
		return nil, err
	}
	return &badConn{Conn: c, host: h}, nil
}

type badConn struct {
	wg.Conn
	host badHost

	reads, writes atomic.Int64
}

var errBadTransport = errors.New("a fault of the transport")

func (c *badConn) Read(b []byte) (n, size int, from netip.AddrPort, err error) {
	n, size, from, err = c.Conn.Read(b)
	if err == nil && c.happens(c.reads.Add(1), c.host.failed) { // after an error, the tunnel waits for 10 ms
		return 0, 0, netip.AddrPort{}, errBadTransport
	}
	return n, size, from, err
}

func (c *badConn) Write(b []byte, size int, to netip.AddrPort) error {
	count := c.writes.Add(1)
	switch {
	case c.happens(count, c.host.failed):
		return errBadTransport
	case c.happens(count, c.host.loss):
		return nil
	}
	if c.happens(count, c.host.late) {
		later := bytes.Clone(b)
		time.AfterFunc(2*time.Millisecond, func() { c.Conn.Write(later, size, to) })
		return nil
	}
	return c.Conn.Write(b, size, to)
}

func (c *badConn) happens(count int64, every int) bool {
	const first = 10 // train; a handshake that is lost costs five seconds
	if every == 0 || count%int64(every) != first {
		return false
	}
	c.host.faults.Add(1)
	return true
}

// connect makes the two ends know each other.
func connect(t *testing.T, a, b wg.Transport, at netip.Addr) (server, client end) {
	t.Helper()
	server, serverKey := openOn(a, "10.2.0.1/32")
	client, clientKey := openOn(b, "10.2.0.42/32")
	endpoint := netip.AddrPortFrom(at, server.Status().ListenPort)
	check(server.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey: clientKey, AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.42/32")}},
	}}}))
	check(client.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey: serverKey, Endpoint: &endpoint, AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.1/32")}},
	}}}))
	return server, client
}

// A stream arrives whole through a transport that loses, reorders, and returns errors; and
// Close leaves nothing.
func TestBadTransport(t *testing.T) {
	addressA, addressB := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::2")
	warm, _ := openOn(host{newNetwork(), addressA}, "10.2.0.1/32") // the first one opens what the process keeps
	warm.Close()
	for name, bad := range map[string]badHost{
		"perfect":    {},
		"loss":       {loss: 100},
		"reordering": {late: 20},
		"errors":     {failed: 1 << 20}, // once for each Conn, of Read and of Write
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks := asynctest.CheckLeaks(t)
			net := newNetwork()
			bad.faults = new(atomic.Int64)
			a, b := bad, bad
			a.host, b.host = host{net, addressA}, host{net, addressB}
			server, client := connect(t, a, b, addressA)
			listener, err := server.stack.Listen("tcp", "10.2.0.1:80")
			check(err)
			sent := make([]byte, 1<<20)
			rand.Read(sent)
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := listener.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				conn.Write(sent)
				conn.Close()
			}()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			conn, err := client.stack.DialContext(ctx, "tcp", "10.2.0.1:80")
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(time.Minute))
			got, err := io.ReadAll(conn)
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("received %d bytes of %d, %v", len(got), len(sent), err)
			}
			conn.Close()
			<-served
			listener.Close()
			if e := client.Status().Peers[0].Endpoint; e.Addr() != addressA {
				t.Errorf("the endpoint is %v", e)
			}
			if e := server.Status().Peers[0].Endpoint; e.Addr() != addressB {
				t.Errorf("the endpoint is %v", e)
			}
			server.Close()
			client.Close()
			if n := bad.faults.Load(); (n > 0) != (name != "perfect") {
				t.Errorf("%d faults", n)
			}
			if n := len(net.conns); n != 0 {
				t.Errorf("%d connections of the transport are open", n)
			}
			noLeaks()
		})
	}
}

// An error of Transport.Open is returned by Open and by Apply, as is a mark; then nothing
// has changed.
func TestTransportIsRefused(t *testing.T) {
	net := newNetwork()
	at := host{net, netip.MustParseAddr("192.0.2.1")}
	taken, err := at.Open(1000)
	check(err)
	w, _ := openOn(at, "10.2.0.1/32")
	defer w.Close()
	before, port, mark := w.Status().ListenPort, uint16(1000), uint32(7)
	if err := w.Apply(conf.Change{ListenPort: &port}); err == nil || err.Error() != "192.0.2.1:1000 is taken: choose another port" {
		t.Errorf("a port that is taken: %v", err)
	}
	if err := w.Apply(conf.Change{FirewallMark: &mark}); err == nil {
		t.Error("a mark was accepted")
	}
	if got := w.Status(); got.ListenPort != before || got.FirewallMark != 0 || len(net.conns) != 2 {
		t.Errorf("port %d, mark %d, %d connections; want %d, 0 and 2", got.ListenPort, got.FirewallMark, len(net.conns), before)
	}
	taken.Close()
	if err := w.Apply(conf.Change{ListenPort: &port}); err != nil || w.Status().ListenPort != port {
		t.Errorf("port %d, %v", w.Status().ListenPort, err)
	}
	if len(net.conns) != 1 { // the old one was closed
		t.Errorf("%d connections, want 1", len(net.conns))
	}
}

// A mortal is a Transport whose Conns can end by themselves.
type mortal struct {
	wg.Transport
	mu    sync.Mutex
	conns []*mortalConn
}

type mortalConn struct {
	wg.Conn
	reads atomic.Int64 // after the end
	ended atomic.Bool
}

func (m *mortal) Open(port uint16) (wg.Conn, error) {
	c, err := m.Transport.Open(port)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, &mortalConn{Conn: c})
	return m.conns[len(m.conns)-1], nil
}

func (c *mortalConn) Read(b []byte) (n, size int, from netip.AddrPort, err error) {
	if c.ended.Load() {
		c.reads.Add(1)
		return 0, 0, netip.AddrPort{}, net.ErrClosed
	}
	n, size, from, err = c.Conn.Read(b)
	if len(b) > 0 && n == 1 { // a datagram of one byte ends the Conn
		c.ended.Store(true)
		return 0, 0, netip.AddrPort{}, net.ErrClosed
	}
	return n, size, from, err
}

// A Conn whose Read has returned net.ErrClosed is not read again, and the log says that
// nothing is received. Another port opens another Conn, and the tunnel works again.
func TestTransportEndsByItself(t *testing.T) {
	network, at := newNetwork(), netip.MustParseAddr("192.0.2.1")
	m := &mortal{Transport: host{network, at}}
	logged := make(chan string, 10)
	stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{netip.MustParsePrefix("10.2.0.1/32")}})
	check(err)
	w, err := wg.Open(wg.Options{Name: "example", Device: stack, Transport: m, Log: slog.New(slog.NewTextHandler(lineWriter(logged), nil))})
	check(err)
	defer w.Close()
	client, clientKey := openOn(host{network, netip.MustParseAddr("192.0.2.42")}, "10.2.0.42/32")
	defer client.Close()
	private, err := key.GeneratePrivate(rand.Reader)
	check(err)
	check(w.Apply(conf.Change{PrivateKey: &private, Peers: []conf.PeerChange{{
		PublicKey: clientKey, AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.42/32")}},
	}}}))

	stranger, err := host{network, netip.MustParseAddr("192.0.2.3")}.Open(0)
	check(err)
	check(stranger.Write([]byte{0}, 1, netip.AddrPortFrom(at, w.Status().ListenPort)))
	if line := <-logged; !strings.Contains(line, "set another listen port") {
		t.Errorf("logged %s", line)
	}
	port := uint16(1234)
	check(w.Apply(conf.Change{ListenPort: &port}))
	endpoint := netip.AddrPortFrom(at, port)
	check(client.Apply(conf.Change{Peers: []conf.PeerChange{{
		PublicKey: private.Public(), Endpoint: &endpoint, AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix("10.2.0.1/32")}},
	}}}))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := client.stack.Ping(ctx, netip.MustParseAddr("10.2.0.1")); err != nil {
		t.Errorf("through another Conn: %v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.conns[0].reads.Load(); n != 0 {
		t.Errorf("%d calls of Read after net.ErrClosed", n)
	}
}

// lineWriter passes on each line of a log.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}
