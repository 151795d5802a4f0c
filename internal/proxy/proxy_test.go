package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"wgd/internal/asynctest"
)

// loopback is a Tunnel that leads to this computer.
type loopback struct {
	names  map[string][]netip.Addr
	dialed func(c net.Conn) net.Conn
	dialer net.Dialer
	broken map[string]error // errors of DialContext, by address
}

func (l *loopback) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if err := l.broken[address]; err != nil {
		return nil, err
	}
	c, err := l.dialer.DialContext(ctx, network, address)
	if err == nil && l.dialed != nil {
		c = l.dialed(c)
	}
	return c, err
}

func (l *loopback) Listen(network, address string) (net.Listener, error) {
	return net.Listen(network, address)
}

func (l *loopback) ListenPacket(network, address string) (net.PacketConn, error) {
	return net.ListenPacket(network, address)
}

func (l *loopback) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if addrs, ok := l.names[host]; ok {
		return addrs, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

var localhost = netip.MustParseAddr("127.0.0.1")

// A logBuffer is a log that a test reads.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// listen listens on 127.0.0.1.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// start runs a Serve method, and returns its address. When the test ends, Serve
// must return nil and leave nothing behind.
func start(t testing.TB, run func(context.Context, net.Listener) error) string {
	t.Helper()
	check := asynctest.CheckLeaks(t)
	t.Cleanup(check)
	return startWithin(t, run)
}

// startWithin is start for tests that check for leaks themselves.
func startWithin(t testing.TB, run func(context.Context, net.Listener) error) string {
	t.Helper()
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		asynctest.Within(t, asynctest.Timeout, "the end of Serve", func() {
			if err := <-done; err != nil {
				t.Errorf("Serve returned %v", err)
			}
		})
	})
	return l.Addr().String()
}

func connect(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(asynctest.Timeout))
	return c.(*net.TCPConn)
}

// serveEach calls handle for each connection to a new listener, and returns its
// address.
func serveEach(t testing.TB, handle func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			}()
		}
	}()
	return addrPort(l.Addr())
}

// echoAtEnd answers with everything that it read, once that has ended.
func echoAtEnd(c *net.TCPConn) {
	all, _ := io.ReadAll(c)
	c.Write(append([]byte("got "), all...))
}

func send(t testing.TB, c io.Writer, data ...byte) {
	t.Helper()
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
}

// expect reads exactly want.
func expect(t testing.TB, c io.Reader, want ...byte) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read % x, %v; want % x", got[:n], err, want)
	}
}

// expectEnd reads all until the end of the stream.
func expectEnd(t testing.TB, c io.Reader, want string) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q and the end", got, err, want)
	}
}

// expectLog waits for a log line that contains all of the words.
func expectLog(t testing.TB, log *logBuffer, words ...string) {
	t.Helper()
	asynctest.Eventually(t, "a log line with "+strings.Join(words, ", "), func() bool {
		for _, line := range strings.Split(log.String(), "\n") {
			missing := false
			for _, w := range words {
				missing = missing || !strings.Contains(line, w)
			}
			if !missing {
				return true
			}
		}
		return false
	})
}

var errBroken = errors.New("broken for this test")
