package proxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"wgd/internal/asynctest"
)

func dialer(network, address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// TestForward: TCP leads to TCP, and the end of a stream is passed on.
func TestForward(t *testing.T) {
	server := serveEach(t, echoAtEnd)
	address := start(t, (&Forward{Dial: dialer("tcp", server.String())}).Serve)
	c := connect(t, address)
	send(t, c, []byte("hello")...)
	c.CloseWrite()
	expectEnd(t, c, "got hello")
}

// TestForwardUnix: unix sockets do as listener and as target.
func TestForwardUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server := serveEach(t, echoAtEnd)
	start(t, func(ctx context.Context, tcp net.Listener) error {
		defer tcp.Close()
		l, err := net.Listen("unix", path)
		if err != nil {
			return err
		}
		return (&Forward{Dial: dialer("tcp", server.String())}).Serve(ctx, l)
	})
	asynctest.Eventually(t, "the socket exists", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	address := start(t, (&Forward{Dial: dialer("unix", path)}).Serve)
	c := connect(t, address)
	send(t, c, []byte("hello")...)
	c.CloseWrite()
	expectEnd(t, c, "got hello")
}

// TestForwardFails: a client whose target cannot be reached gets a reset, not an
// end, and there is a line in the log.
func TestForwardFails(t *testing.T) {
	log := &logBuffer{}
	connected := make(chan struct{})
	address := start(t, (&Forward{
		Dial: func(context.Context) (net.Conn, error) {
			<-connected
			return nil, errBroken
		},
		Log: log.logger(),
	}).Serve)
	c := connect(t, address)
	close(connected)
	if n, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read %d, %v; want an error that is no end", n, err)
	}
	expectLog(t, log, "level=INFO", errBroken.Error())
}

// TestHalfClosedTimeout: after one direction has ended, the other may be silent
// for a limited time. What it sends extends that time.
func TestHalfClosedTimeout(t *testing.T) {
	for attempt := 0; ; attempt++ {
		if stalled := halfClosed(t, false) || halfClosed(t, true); !stalled {
			return
		} else if attempt == 20 {
			t.Fatal("this computer is too busy: the sender always pauses for longer than the timeout")
		}
	}
}

// halfClosed lets a half-closed connection be silent, after the server has spoken
// for longer than the timeout or not. It reports whether the server itself has
// paused for too long, which proves nothing.
func halfClosed(t *testing.T, speaks bool) (stalled bool) {
	const timeout = 400 * time.Millisecond
	client, a := socketPair(t)
	b, server := socketPair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := relayed{halfClosedTimeout: timeout}
		r.run(context.Background(), a, b)
	}()
	last := time.Now()
	client.CloseWrite()
	expectEnd(t, server, "")
	if speaks {
		for range 12 {
			server.Write([]byte("x"))
			_, err := io.ReadFull(client, make([]byte, 1))
			if time.Since(last) > timeout/2 {
				<-done
				return true
			}
			if err != nil {
				t.Fatalf("the connection ended while the server was speaking: %v", err)
			}
			last = time.Now()
			time.Sleep(timeout / 8)
		}
	}
	asynctest.Within(t, asynctest.Timeout, "the timeout of a half-closed connection", func() { <-done })
	if _, err := client.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the client reads %v, want an error that is no end", err)
	}
	return false
}

// socketPair returns both ends of a TCP connection.
func socketPair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l := listen(t)
	a = connect(t, l.Addr().String())
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	t.Cleanup(func() { c.Close() })
	return a, c.(*net.TCPConn)
}

// TestReader: all bytes arrive in order through either kind of reader, and the
// large buffer is not held while there is nothing to read.
func TestReader(t *testing.T) {
	for _, waits := range []bool{true, false} {
		a, b := socketPair(t)
		var src net.Conn = b
		if !waits {
			src = struct{ net.Conn }{b}
		}
		r := newReader(src)
		if (r.wait != nil) != waits {
			t.Fatalf("the reader can wait: %v, want %v", r.wait != nil, waits)
		}
		sent := make([]byte, 1<<20)
		for i := range sent {
			sent[i] = byte(i >> 3)
		}
		go func() {
			a.Write(sent)
			a.CloseWrite()
		}()
		var got []byte
		for {
			data, err := r.read()
			got = append(got, data...)
			if err != nil {
				if err != io.EOF {
					t.Error(err)
				}
				break
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("waits=%v: %d bytes differ from the %d that were sent", waits, len(got), len(sent))
		}
	}
}

// TestStdio: the end of the input is passed on, and Stdio returns when the other
// side ends.
func TestStdio(t *testing.T) {
	check := asynctest.CheckLeaks(t)
	client, server := socketPair(t)
	go func() {
		echoAtEnd(server)
		server.Close()
	}()
	var out bytes.Buffer
	if err := Stdio(context.Background(), client, bytes.NewReader([]byte("hello")), &out); err != nil || out.String() != "got hello" {
		t.Errorf("the output is %q, %v", out.String(), err)
	}
	server.Close()
	check()
}

// TestStdioEnds: Stdio returns when the other side ends or the context is done,
// even if the input stays open.
func TestStdioEnds(t *testing.T) {
	for _, byContext := range []bool{false, true} {
		check := asynctest.CheckLeaks(t)
		client, server := socketPair(t)
		in, other := socketPair(t)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		var out bytes.Buffer
		go func() { done <- Stdio(ctx, client, in, &out) }()
		if byContext {
			cancel()
		} else {
			server.Close()
		}
		asynctest.Within(t, asynctest.Timeout, "the end of Stdio", func() {
			if err := <-done; (err != nil) != byContext {
				t.Errorf("by context %v: %v", byContext, err)
			}
		})
		cancel()
		for _, c := range []net.Conn{client, server, in, other} {
			c.Close()
		}
		check()
	}
}
