package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/proxy"
)

// connectTo is a request of RFC 1928, section 4, with an IPv4 address.
func connectTo(a netip.AddrPort) []byte {
	ip := a.Addr().As4()
	return binary.BigEndian.AppendUint16(append([]byte{5, 1, 0, 1}, ip[:]...), a.Port())
}

// open connects to a SOCKS5 server without authentication.
func open(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	c := connect(t, address)
	send(t, c, 5, 1, 0)
	expect(t, c, 5, 0)
	return c
}

// expectReply reads a reply, and returns the address in it.
func expectReply(t testing.TB, c io.Reader, code reply) netip.AddrPort {
	t.Helper()
	expect(t, c, 5, byte(code), 0, 1)
	var b [6]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[:4])), binary.BigEndian.Uint16(b[4:]))
}

// TestConnect: a connection leads to its target, and the end of either direction
// leaves the other one open.
func TestConnect(t *testing.T) {
	address := start(t, (&SOCKS5{Tunnel: &loopback{}}).Serve)
	server := serveEach(t, echoAtEnd)
	c := open(t, address)
	send(t, c, append(connectTo(server), "early"...)...) // data may follow at once
	if bound := expectReply(t, c, succeeded); bound.Addr() != localhost || bound.Port() == 0 {
		t.Errorf("the reply says %v, want the local address of the connection", bound)
	}
	send(t, c, []byte(" late")...)
	c.CloseWrite()
	expectEnd(t, c, "got early late")
}

// TestServerEndsFirst: the end of what the server sends is passed on, and the
// client can still send.
func TestServerEndsFirst(t *testing.T) {
	address := start(t, (&SOCKS5{Tunnel: &loopback{}}).Serve)
	got := make(chan string, 1)
	server := serveEach(t, func(c *net.TCPConn) {
		c.CloseWrite()
		all, _ := io.ReadAll(c)
		got <- string(all)
	})
	c := open(t, address)
	send(t, c, connectTo(server)...)
	expectReply(t, c, succeeded)
	expectEnd(t, c, "")
	send(t, c, []byte("after the end")...)
	c.CloseWrite()
	if all := <-got; all != "after the end" {
		t.Errorf("the server read %q", all)
	}
}

// TestResetIsPassedOn: a stream that breaks off does not look like one that has
// ended.
func TestResetIsPassedOn(t *testing.T) {
	address := start(t, (&SOCKS5{Tunnel: &loopback{}}).Serve)
	server := serveEach(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})
	c := open(t, address)
	send(t, c, connectTo(server)...)
	expectReply(t, c, succeeded)
	send(t, c, 1)
	if n, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read %d, %v; want an error that is no end", n, err)
	}
}

// TestPassword: RFC 1929, byte by byte.
func TestPassword(t *testing.T) {
	log := &logBuffer{}
	address := start(t, (&SOCKS5{Tunnel: &loopback{}, Username: "anna", Password: "secret7", Log: log.logger()}).Serve)
	server := serveEach(t, echoAtEnd)
	for _, c := range []struct {
		user, password string
		status         byte
	}{
		{"anna", "secret7", 0}, {"anna", "secret8", 1}, {"anne", "secret7", 1}, {"", "", 1}, {"anna", "", 1},
	} {
		conn := connect(t, address)
		send(t, conn, 5, 2, 0, 2)
		expect(t, conn, 5, 2)
		send(t, conn, append([]byte{1, byte(len(c.user))}, fmt.Sprintf("%s%c%s", c.user, len(c.password), c.password)...)...)
		expect(t, conn, 1, c.status)
		if c.status != 0 {
			expectEnd(t, conn, "")
			continue
		}
		send(t, conn, connectTo(server)...)
		expectReply(t, conn, succeeded)
	}
	conn := connect(t, address)
	send(t, conn, 5, 1, 0)
	expect(t, conn, 5, 0xff)
	expectEnd(t, conn, "")
	expectLog(t, log, "wrong")
	expectLog(t, log, "offers no password")
	for _, secret := range []string{"anna", "anne", "secret"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has the credential %q:\n%s", secret, log)
		}
	}
}

// TestReplies: each request that fails gets the right reply, and a line in the
// log.
func TestReplies(t *testing.T) {
	op := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	text := func(s string) error { return op(op(fmt.Errorf("%s", s))) }
	log := &logBuffer{}
	tunnel := &loopback{
		broken: map[string]error{
			"10.0.0.1:80": text("connection was refused"),
			"10.0.0.2:80": text("no route to host"),
			"10.0.0.3:80": text("network is unreachable"),
			"10.0.0.4:80": text("operation timed out"),
			"10.0.0.5:80": context.DeadlineExceeded,
			"10.0.0.6:80": errBroken,
			"10.0.0.7:80": op(syscall.ECONNREFUSED),
			"10.0.0.8:80": op(syscall.EHOSTUNREACH),
			"10.0.0.9:80": op(syscall.ENETUNREACH),
		},
		names: map[string][]netip.Addr{"empty.example": {}, "refused.example": {netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.6")}},
	}
	address := start(t, (&SOCKS5{Tunnel: tunnel, Log: log.logger()}).Serve)
	to := func(n byte) []byte { return []byte{5, 1, 0, 1, 10, 0, 0, n, 0, 80} }
	name := func(s string) []byte {
		return append(append([]byte{5, 1, 0, 3, byte(len(s))}, s...), 0, 80)
	}
	for _, c := range []struct {
		request []byte
		want    reply
		log     string
	}{
		{to(1), 5, "10.0.0.1:80"}, {to(2), 4, "10.0.0.2:80"}, {to(3), 3, "10.0.0.3:80"}, {to(4), 6, "10.0.0.4:80"}, {to(5), 6, "10.0.0.5:80"},
		{to(6), 1, "10.0.0.6:80"}, {to(7), 5, "10.0.0.7:80"}, {to(8), 4, "10.0.0.8:80"}, {to(9), 3, "10.0.0.9:80"},
		{name("nowhere.example"), 4, "nowhere.example:80"}, {name("empty.example"), 4, "no address"}, {name("refused.example"), 5, "refused.example:80"},
		{name("10.0.0.1"), 5, "10.0.0.1:80"}, {name(""), 1, "empty"}, {name("a b"), 1, "a b"},
		{[]byte{5, 2, 0, 1, 10, 0, 0, 1, 0, 80}, 7, "command 2"}, {[]byte{5, 9, 0, 1, 10, 0, 0, 1, 0, 80}, 7, "command 9"},
		{[]byte{5, 1, 0, 2, 10, 0, 0, 1, 0, 80}, 8, "type"},
	} {
		conn := open(t, address)
		send(t, conn, append(c.request, "data that follows at once"...)...)
		expectReply(t, conn, c.want)
		expectEnd(t, conn, "")
		expectLog(t, log, "level=INFO", c.log)
	}
}

// TestOtherProtocols: the log says what a client speaks instead of SOCKS5.
func TestOtherProtocols(t *testing.T) {
	log := &logBuffer{}
	address := start(t, (&SOCKS5{Tunnel: &loopback{}, Log: log.logger()}).Serve)
	for first, want := range map[byte]string{4: "SOCKS4", 'G': "HTTP", 0x16: "TLS", 0: "does not speak SOCKS5"} {
		c := connect(t, address)
		send(t, c, first, 1)
		expectEnd(t, c, "")
		expectLog(t, log, want)
	}
}

// TestNames: a name is looked up in the tunnel, and an address that fails or
// does not answer does not keep the others from being tried.
func TestNames(t *testing.T) {
	server := serveEach(t, echoAtEnd)
	silent := netip.MustParseAddr("2001:db8::1")
	tunnel := &loopback{
		names:  map[string][]netip.Addr{"a.example": {silent, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), localhost}},
		broken: map[string]error{fmt.Sprintf("10.0.0.1:%d", server.Port()): errBroken, fmt.Sprintf("10.0.0.2:%d", server.Port()): errBroken},
	}
	address := start(t, (&SOCKS5{Tunnel: &silentFor{tunnel, silent}}).Serve)
	dialer, err := proxy.SOCKS5("tcp", address, nil, proxy.Direct)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialer.Dial("tcp", fmt.Sprintf("a.example:%d", server.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("hello"))
	c.(interface{ CloseWrite() error }).CloseWrite()
	expectEnd(t, c, "got hello")
}

// silentFor is a tunnel in which one address never answers.
type silentFor struct {
	*loopback
	addr netip.Addr
}

func (s *silentFor) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if netip.MustParseAddrPort(address).Addr() == s.addr {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.loopback.DialContext(ctx, network, address)
}

// TestSilentClient: a client that says nothing holds nobody up.
func TestSilentClient(t *testing.T) {
	address := start(t, (&SOCKS5{Tunnel: &loopback{}}).Serve)
	for range 50 {
		connect(t, address)
	}
	server := serveEach(t, echoAtEnd)
	c := open(t, address)
	send(t, c, connectTo(server)...)
	expectReply(t, c, succeeded)
	c.CloseWrite()
	expectEnd(t, c, "got ")
}

// TestSlowReader: a client that does not read stops its own stream only.
func TestSlowReader(t *testing.T) {
	address := start(t, (&SOCKS5{Tunnel: &loopback{}}).Serve)
	flood := serveEach(t, func(c *net.TCPConn) {
		for chunk := make([]byte, 1<<16); ; {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
	slow := open(t, address)
	send(t, slow, connectTo(flood)...)
	expectReply(t, slow, succeeded)
	time.Sleep(50 * time.Millisecond)
	server := serveEach(t, echoAtEnd)
	c := open(t, address)
	send(t, c, connectTo(server)...)
	expectReply(t, c, succeeded)
	send(t, c, make([]byte, 1<<20)...)
	c.CloseWrite()
	if all, err := io.ReadAll(c); err != nil || len(all) != 4+1<<20 {
		t.Errorf("read %d bytes, %v", len(all), err)
	}
}
