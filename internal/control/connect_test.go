package control

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"wgd/internal/control/controltest"
	"wgd/internal/uapi"
)

// A connecting Target greets each client, sends back what it gets until its end, and then
// says goodbye.
type connecting struct {
	*controltest.Target
	failure error
	targets []string
	begun   chan struct{} // if not nil, Connect sends to it, and
	connect chan error    // then waits for this, or until ctx is done
}

func (c *connecting) Connect(ctx context.Context, target string) (func(net.Conn), error) {
	c.targets = append(c.targets, target)
	if c.begun != nil {
		c.begun <- struct{}{}
		select {
		case <-ctx.Done():
			c.connect <- ctx.Err()
			return nil, ctx.Err()
		case err := <-c.connect:
			c.failure = err
		}
	}
	if c.failure != nil {
		return nil, c.failure
	}
	return func(client net.Conn) {
		defer client.Close()
		io.WriteString(client, "hello ")
		io.Copy(client, client)
		io.WriteString(client, " bye")
	}, nil
}

// connectAt asks for a connection at the socket at path.
func connectAt(t *testing.T, path, target string) (net.Conn, error) {
	t.Helper()
	client, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client.Connect(target)
}

// After a request for a connection, the socket is a part of that, with both ends of its
// stream. What arrives with the answer is not lost.
func TestConnect(t *testing.T) {
	target := &connecting{Target: new(controltest.Target)}
	path := serveAt(t, target)
	conn, err := connectAt(t, path, "host.test:22")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "data"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "hello data bye" || len(target.targets) != 1 || target.targets[0] != "host.test:22" {
		t.Errorf("got %q, %v, from %q", got, err, target.targets)
	}
}

// A connection that cannot be opened is an error of the Target, after which the client may
// send other requests.
func TestConnectRefused(t *testing.T) {
	target := &connecting{Target: new(controltest.Target), failure: errors.New("host.test: no such name")}
	path := serveAt(t, target)
	client, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Connect("host.test:22"); err == nil || err.Error() != "host.test: no such name" || Ended(err) {
		t.Errorf("got %v, want the error of the Target", err)
	}
	target.failure = ErrEnding
	if _, err := client.Connect("host.test:22"); !Ended(err) {
		t.Errorf("got %v, want that the daemon ends", err)
	}
	if _, err := client.Status(); err != nil {
		t.Error(err)
	}
	if _, err := connectAt(t, serveAt(t, new(controltest.Target)), "h:1"); err == nil || !strings.Contains(err.Error(), "wgd proxy does") {
		t.Errorf("a Target without a tunnel of its own: %v", err)
	}
}

// Whoever sends data before the answer is refused, because it might be lost.
func TestConnectWithEarlyData(t *testing.T) {
	path := serveAt(t, &connecting{Target: new(controltest.Target)})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "connect=h:1\n\nGET / HTTP/1.0\r\n\r\n")
	if err := uapi.NewReader(conn).Result(); err == nil || !strings.Contains(err.Error(), "wait for the answer") {
		t.Errorf("got %v", err)
	}
}

// An attempt to connect ends with the client that wanted it.
func TestConnectEndsWithTheClient(t *testing.T) {
	target := &connecting{Target: new(controltest.Target), begun: make(chan struct{}), connect: make(chan error)}
	conn, err := net.Dial("unix", serveAt(t, target))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "connect=h:1\n\n")
	<-target.begun
	conn.Close()
	if err := <-target.connect; !errors.Is(err, context.Canceled) {
		t.Errorf("the client has gone: got %v", err)
	}
}

// Data that arrives while the target connects is not lost: it belongs to the connection, or
// if that fails, it is the next request.
func TestConnectWithDataMeanwhile(t *testing.T) {
	for _, c := range []struct {
		failure error
		want    string
	}{
		{nil, "errno=0\n\nhello reload=1\n\n bye"},
		{errors.New("h: no such name"), "errno=-5\nerror=h: no such name\n\nerrno=-71\nerror=this daemon has no file"},
	} {
		target := &connecting{Target: new(controltest.Target), begun: make(chan struct{}), connect: make(chan error)}
		conn, err := net.Dial("unix", serveAt(t, target))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "connect=h:1\n\n")
		<-target.begun
		io.WriteString(conn, "reload=1\n\n")
		target.connect <- c.failure
		conn.(*net.UnixConn).CloseWrite()
		if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), c.want) {
			t.Errorf("got %q, %v, want %q", got, err, c.want)
		}
	}
}

// A daemon that ends before its answer, or has ended, is recognized.
func TestEnded(t *testing.T) {
	path := t.TempDir() + "/wg7.sock"
	server, err := ListenAt(path, "wg7", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenAt(path, "wg7", nil); !errors.Is(err, ErrRunning) {
		t.Errorf("a second daemon: got %v, want ErrRunning", err)
	}
	client, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server.Close()
	if _, err := client.Connect("h:1"); !Ended(err) {
		t.Errorf("the daemon has closed the socket: %v", err)
	}
	if _, err := Dial(path); !Ended(err) {
		t.Errorf("the daemon has ended: %v", err)
	}
}

// Connections that are carried leave half of the places for requests.
func TestConnectLimit(t *testing.T) {
	c := newConnections(6)
	for i := range 4 {
		if got := c.beginCarrying(); got != (i < 3) {
			t.Errorf("connection %d may begin: %v", i+1, got)
		}
	}
	c.endCarrying()
	if !c.beginCarrying() {
		t.Error("none may begin, although one has ended")
	}
}
