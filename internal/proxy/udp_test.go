package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/asynctest"
)

// udpSocket opens a UDP socket.
func udpSocket(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(asynctest.Timeout))
	return c
}

// udpEcho answers each datagram with "got " and what it was.
func udpEcho(t testing.TB, address string) netip.AddrPort {
	t.Helper()
	c := udpSocket(t, address)
	c.SetDeadline(time.Time{})
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(append([]byte("got "), buf[:n]...), from)
		}
	}()
	return addrPort(c.LocalAddr())
}

// associate requests UDP ASSOCIATE for a port, and returns the connection and where
// datagrams go.
func associate(t testing.TB, address string, port uint16) (*net.TCPConn, netip.AddrPort) {
	t.Helper()
	c := open(t, address)
	send(t, c, binary.BigEndian.AppendUint16([]byte{5, 3, 0, 1, 0, 0, 0, 0}, port)...)
	return c, expectReply(t, c, succeeded)
}

// datagramTo is a datagram of RFC 1928, section 7.
func datagramTo(to netip.AddrPort, data string) []byte {
	return append(appendAddress([]byte{0, 0, 0}, to), data...)
}

func sendTo(t testing.TB, c *net.UDPConn, to netip.AddrPort, data []byte) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort(data, to); err != nil {
		t.Fatal(err)
	}
}

func expectDatagram(t testing.TB, c *net.UDPConn, want []byte) {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, err := c.Read(buf)
	if err != nil || !slices.Equal(buf[:n], want) {
		t.Fatalf("read % x, %v; want % x", buf[:n], err, want)
	}
}

// TestAssociate: datagrams pass in both directions, the header of an answer has
// its source, and the association ends with its connection.
func TestAssociate(t *testing.T) {
	address := start(t, (&SOCKS5{Tunnel: &loopback{names: map[string][]netip.Addr{
		"echo.example": {netip.MustParseAddr("127.0.0.1")},
	}}}).Serve)
	server := udpEcho(t, "127.0.0.1:0")
	c, relay := associate(t, address, 0)
	if relay.Addr() != localhost || relay.Port() == 0 {
		t.Fatalf("datagrams go to %v, want an address that the client can reach", relay)
	}
	u := udpSocket(t, "127.0.0.1:0")
	sendTo(t, u, relay, datagramTo(server, "one"))
	expectDatagram(t, u, datagramTo(server, "got one"))
	byName := fmt.Appendf(nil, "\x00\x00\x00\x03\x0cecho.example%s", binary.BigEndian.AppendUint16(nil, server.Port()))
	for range 2 { // looked up, and remembered
		sendTo(t, u, relay, append(byName, "two"...))
		expectDatagram(t, u, datagramTo(server, "got two"))
	}
	large := make([]byte, 65507-10-4) // the largest whose answer fits
	sendTo(t, u, relay, datagramTo(server, string(large)))
	expectDatagram(t, u, datagramTo(server, "got "+string(large)))
	c.Close()
	asynctest.Eventually(t, "the port is closed", func() bool {
		probe, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(relay))
		if err == nil {
			probe.Close()
		}
		return err == nil
	})
}

// TestAssociateIPv6: a datagram to an IPv6 address, and its answer.
func TestAssociateIPv6(t *testing.T) {
	address := start(t, (&SOCKS5{Tunnel: &loopback{}}).Serve)
	server := udpEcho(t, "[::1]:0")
	_, relay := associate(t, address, 0)
	u := udpSocket(t, "127.0.0.1:0")
	sendTo(t, u, relay, datagramTo(server, "six"))
	expectDatagram(t, u, datagramTo(server, "got six"))
}

// TestAssociateRefuses: datagrams from another address or port than the client's
// are dropped, and so are fragments and what cannot be parsed. What follows is
// relayed.
func TestAssociateRefuses(t *testing.T) {
	address := start(t, (&SOCKS5{Tunnel: &loopback{}}).Serve)
	server := udpEcho(t, "127.0.0.1:0")
	mine, port2, host2 := udpSocket(t, "127.0.0.1:0"), udpSocket(t, "127.0.0.1:0"), udpSocket(t, "127.0.0.2:0")
	for _, given := range []uint16{0, addrPort(mine.LocalAddr()).Port()} {
		_, relay := associate(t, address, given)
		sendTo(t, host2, relay, datagramTo(server, "another address"))
		if given != 0 {
			sendTo(t, port2, relay, datagramTo(server, "another port than the one given"))
		}
		sendTo(t, mine, relay, []byte{0, 0})
		sendTo(t, mine, relay, append([]byte{0, 0, 1}, datagramTo(server, "fragment")[3:]...))
		sendTo(t, mine, relay, []byte{0, 0, 0, 2, 0, 0, 0, 0, 0, 0})
		sendTo(t, mine, relay, datagramTo(server, "first"))
		expectDatagram(t, mine, datagramTo(server, "got first"))
		sendTo(t, port2, relay, datagramTo(server, "another port than the first"))
		sendTo(t, mine, relay, datagramTo(server, "last"))
		expectDatagram(t, mine, datagramTo(server, "got last"))
	}
	for _, other := range []*net.UDPConn{port2, host2} {
		other.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := other.Read(make([]byte, 100)); err == nil {
			t.Errorf("%v got %d bytes", other.LocalAddr(), n)
		}
	}
}

// TestAssociateByName: UDP ASSOCIATE may name the client's address in any form.
func TestAssociateByName(t *testing.T) {
	for _, c := range []struct {
		request string
		want    uint16
	}{
		{"\x05\x03\x00\x03\x00\x00\x09", 9}, {"\x05\x03\x00\x03\x02a b\x00", 'b' << 8}, {"\x05\x03\x00\x01\x00\x00\x00\x00\x01\x02", 0x102},
	} {
		req, err := readRequest(&oneByte{[]byte(c.request)})
		if err != nil || req.command != cmdAssociate || req.target.port != c.want {
			t.Errorf("%q is %+v, %v", c.request, req, err)
		}
	}
}

// oneByte is a reader that returns one byte at a time.
type oneByte struct{ rest []byte }

func (o *oneByte) Read(p []byte) (int, error) {
	if len(o.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(1, len(p))], o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

// TestNameCache: the cache of a client that sends to many names is bounded.
func TestNameCache(t *testing.T) {
	var c nameCache
	now := time.Unix(1000, 0)
	for i := range 2 * maxNames {
		to := target{name: fmt.Sprint(i), port: 1}
		for range 2 * maxWaiting {
			if addr, _ := c.find(now, to, []byte("data")); addr.IsValid() {
				t.Fatal("an address without a lookup")
			}
		}
	}
	if len(c) != maxNames || len(c["0"].waiting) != maxWaiting {
		t.Errorf("%d names, and %d datagrams wait for one", len(c), len(c["0"].waiting))
	}
	var large nameCache
	for i := range maxNames {
		large.find(now, target{name: fmt.Sprint(i)}, make([]byte, 60000))
	}
	if n := large.bytes(); n > maxBytes || n < maxBytes-60000 {
		t.Errorf("%d bytes wait for addresses, want %d at most", n, maxBytes)
	}
	if got := c.found(now, "0", localhost); len(got) != maxWaiting {
		t.Errorf("%d datagrams are sent after the lookup", len(got))
	}
	if got := c.found(now, "1", netip.Addr{}); len(got) != maxWaiting || c["1"] != nil {
		t.Errorf("after a failed lookup: %d datagrams, %v", len(got), c["1"])
	}
	if addr, begin := c.find(now.Add(nameLifetime-1), target{name: "0"}, nil); addr != localhost || begin {
		t.Errorf("a name that is known: %v, %v", addr, begin)
	}
	if addr, begin := c.find(now.Add(nameLifetime), target{name: "0"}, nil); addr != localhost || !begin {
		t.Errorf("a name that has expired: %v, %v; want its address and another lookup", addr, begin)
	}
}

// startUDP runs UDPForward.Serve.
func startUDP(t testing.TB, f *UDPForward) netip.AddrPort {
	t.Helper()
	local, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(localhost, 0)))
	if err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context, l net.Listener) error {
		l.Close()
		return f.Serve(ctx, local)
	})
	return addrPort(local.LocalAddr())
}

// TestUDPForward: each client has a flow of its own.
func TestUDPForward(t *testing.T) {
	server := udpEcho(t, "127.0.0.1:0")
	at := startUDP(t, &UDPForward{Dial: dialer("udp", server.String())})
	a, b := udpSocket(t, "127.0.0.1:0"), udpSocket(t, "127.0.0.1:0")
	sendTo(t, a, at, []byte("a"))
	sendTo(t, b, at, []byte("b"))
	expectDatagram(t, b, []byte("got b"))
	expectDatagram(t, a, []byte("got a"))
}

// TestUDPForwardTimeout: a silent flow is closed, and the next datagram opens
// another one.
func TestUDPForwardTimeout(t *testing.T) {
	server := udpEcho(t, "127.0.0.1:0")
	dials := make(chan net.Conn, 1000)
	at := startUDP(t, &UDPForward{Timeout: 200 * time.Millisecond, Dial: func(ctx context.Context) (net.Conn, error) {
		c, err := dialer("udp", server.String())(ctx)
		dials <- c
		return c, err
	}})
	a := udpSocket(t, "127.0.0.1:0")
	for range 2 {
		sendTo(t, a, at, []byte("a"))
		first := <-dials
		asynctest.Eventually(t, "the flow is closed", func() bool {
			return first.SetDeadline(time.Time{}) != nil
		})
	}
}

// TestUDPForwardQueues: what waits for flows that are being opened has a bound in
// bytes, also over all flows, and what is dropped with a flow does not count.
func TestUDPForwardQueues(t *testing.T) {
	s := &udpForwarder{UDPForward: &UDPForward{Dial: func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, errBroken
	}}, log: (&logBuffer{}).logger(), flows: map[string]*flow{}}
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(context.Background())
	data := make([]byte, 60000)
	for i := range 100 {
		for range 2 * maxQueued {
			s.deliver(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: i + 1}, data)
		}
	}
	if n := s.queued.Load(); n > maxQueuedBytes || n < maxQueuedBytes-60000 {
		t.Errorf("%d bytes wait, want %d at most", n, maxQueuedBytes)
	}
	cancel()
	s.running.Wait()
	if n := s.queued.Load(); n != 0 {
		t.Errorf("%d bytes wait for flows that have ended", n)
	}
}

// TestUDPForwardRetires: a flow is retired only if it was silent for the whole
// time, and what comes after that opens another one.
func TestUDPForwardRetires(t *testing.T) {
	f := &flow{queue: make(chan []byte, maxQueued)}
	s := &udpForwarder{flows: map[string]*flow{"a": f}}
	f.used = time.Now().Add(-time.Hour)
	s.enqueue(f, []byte("x"))
	if left := s.retire("a", f, time.Hour); left <= 0 || s.flows["a"] != f {
		t.Errorf("a flow in use: %v left, %v", left, s.flows)
	}
	f.used = time.Now().Add(-time.Hour)
	if left := s.retire("a", f, time.Hour); left > 0 || s.flows["a"] != nil {
		t.Errorf("a silent flow: %v left, %v", left, s.flows)
	}
}

// TestUDPForwardBound: when there are too many flows, the one that was silent for
// longest is closed. One that cannot be opened is logged.
func TestUDPForwardBound(t *testing.T) {
	log := &logBuffer{}
	s := &udpForwarder{UDPForward: &UDPForward{Dial: func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, errBroken
	}}, log: log.logger(), flows: map[string]*flow{}}
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(context.Background())
	for i := range maxFlows + 1 {
		s.mu.Lock()
		f := s.flow(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: i + 1})
		s.mu.Unlock()
		f.mu.Lock()
		f.used = time.Unix(int64(1e6-i), 0)
		if i == maxFlows/2 {
			f.used = time.Unix(1, 0)
		}
		f.mu.Unlock()
	}
	if len(s.flows) != maxFlows || s.flows[fmt.Sprintf("127.0.0.1:%d", maxFlows/2+1)] != nil || s.flows["127.0.0.1:1"] == nil {
		t.Errorf("%d flows; want %d, without the oldest", len(s.flows), maxFlows)
	}
	cancel()
	s.running.Wait()
	at := startUDP(t, &UDPForward{Log: log.logger(), Dial: func(context.Context) (net.Conn, error) { return nil, errBroken }})
	sendTo(t, udpSocket(t, "127.0.0.1:0"), at, []byte("a"))
	expectLog(t, log, "level=INFO", errBroken.Error())
}

// An oddClient is like an address of package answer, whose String has more than the address.
type oddClient struct{ *net.UDPAddr }

func (c oddClient) String() string { return c.UDPAddr.String() + " at 10.0.0.1" }

// The log names a client by address and port.
func TestUDPForwardLogsTheAddress(t *testing.T) {
	log := &logBuffer{}
	s := &udpForwarder{UDPForward: &UDPForward{Dial: func(context.Context) (net.Conn, error) { return nil, errBroken }},
		ctx: t.Context(), log: log.logger(), flows: map[string]*flow{}}
	s.mu.Lock()
	s.flow(oddClient{&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7}})
	s.mu.Unlock()
	s.running.Wait()
	if got := log.String(); !strings.Contains(got, " client=127.0.0.1:7 ") {
		t.Errorf("got %q", got)
	}
}
