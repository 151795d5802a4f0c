package control

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wgd/conf"
	"wgd/internal/control/controltest"
	"wgd/key"
)

// These tests of timeouts run on virtual time, with pipes in place of sockets.

// A pipeListener is a listener whose connections are pipes.
type pipeListener struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Close() error {
	close(p.closed)
	return nil
}

func (p *pipeListener) File() (*os.File, error) { return nil, os.ErrInvalid }

// dial connects. It waits until the connection is accepted.
func (p *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.accepted <- theirs
	return ours
}

// withServer runs f on virtual time, with a server behind a pipeListener.
func withServer(t *testing.T, target Target, f func(t *testing.T, p *pipeListener)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipeListener{make(chan net.Conn), make(chan struct{})}
		server := &Server{name: "wg0", listener: p, connections: newConnections(maxConnections)}
		ended := make(chan error)
		go func() { ended <- server.Serve(target) }()
		f(t, p)
		if err := server.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := <-ended; err != nil {
			t.Error("Serve:", err)
		}
	})
}

// answer reads one answer.
func answer(r *bufio.Reader) (string, error) {
	var text strings.Builder
	for {
		line, err := r.ReadString('\n')
		text.WriteString(line)
		if err != nil || line == "\n" {
			return text.String(), err
		}
	}
}

// A request may take hours if a part of it arrives within every minute: here, half
// a line at a time. Between requests any time may pass.
func TestSlowRequestIsApplied(t *testing.T) {
	target := controltest.New(conf.Status{})
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		conn := p.dial()
		defer conn.Close()
		answers := bufio.NewReader(conn)
		for i := range 3 {
			time.Sleep(1000 * time.Hour)
			request := fmt.Sprintf("set=1\nlisten_port=%d\n", i+1)
			for k := range 1000 {
				request += "public_key=" + (key.Public{byte(k), byte(k >> 8), 1}).Hex() + "\n"
			}
			begun := time.Now()
			for line := range strings.Lines(request + "\n") {
				for _, piece := range []string{line[:len(line)/2], line[len(line)/2:]} {
					if _, err := io.WriteString(conn, piece); err != nil {
						t.Fatal(err)
					}
					time.Sleep(pauseTimeout - time.Second)
				}
			}
			if got, err := answer(answers); got != "errno=0\n\n" || err != nil {
				t.Fatalf("answer after %v: got %q, %v", time.Since(begun), got, err)
			}
			if s := target.Status(); len(s.Peers) != 1000 || s.ListenPort != uint16(i+1) {
				t.Fatalf("got %d peers and port %d, want 1000 and %d", len(s.Peers), s.ListenPort, i+1)
			}
		}
	})
}

// A client that pauses for a minute within a request, at any place, gets an error,
// and its connection is closed.
func TestPausedRequestIsEnded(t *testing.T) {
	target := controltest.New(conf.Status{})
	const want = "errno=-71\nerror=the request paused for 1m0s: nothing of it was applied\n\n"
	for _, half := range []string{"s", "set=1", "set=1\n", "set=1\nlisten_port=7", "set=1\nlisten_port=7\n", "get=1\n",
		"set=1\n" + strings.Repeat("x", 100_000), "set=1\nlisten_port=9\n\ns", "nonsense\n", "set=1\n\nget=1\n\nset=1\n"} {
		withServer(t, target, func(t *testing.T, p *pipeListener) {
			conn := p.dial()
			defer conn.Close()
			answers := bufio.NewReader(conn)
			go io.WriteString(conn, half)
			for range strings.Count(half, "\n\n") {
				if got, err := answer(answers); err != nil {
					t.Fatalf("%.20q: answer to an earlier request: %q, %v", half, got, err)
				}
			}
			begun := time.Now()
			got, err := io.ReadAll(answers)
			if string(got) != want || err != nil || time.Since(begun) != pauseTimeout {
				t.Errorf("%.20q: after %v got %q, %v, want %q after %v", half, time.Since(begun), got, err, want, pauseTimeout)
			}
		})
	}
	if n := target.Status().ListenPort; n != 9 {
		t.Errorf("half a request was applied: port %d, want 9", n)
	}
}

// A slow reader gets its whole answer. If it stops reading for a minute, the
// connection is closed.
func TestSlowReaderGetsWholeAnswer(t *testing.T) {
	status := conf.Status{Tunables: conf.DefaultTunables()}
	for i := range 2000 {
		status.Peers = append(status.Peers, conf.PeerStatus{PublicKey: key.Public{byte(i), byte(i >> 8), 1}})
	}
	target := controltest.New(status)
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		conn := p.dial()
		defer conn.Close()
		io.WriteString(conn, "get=1\n\n")
		var got strings.Builder
		for piece := make([]byte, 1000); !strings.HasSuffix(got.String(), "errno=0\n\n"); time.Sleep(pauseTimeout - time.Second) {
			n, err := conn.Read(piece)
			if err != nil {
				t.Fatalf("read after %d bytes: %v", got.Len(), err)
			}
			got.Write(piece[:n])
		}
		if n := strings.Count(got.String(), "public_key="); n != len(status.Peers) {
			t.Errorf("the answer has %d peers, want %d", n, len(status.Peers))
		}
		begun := time.Now()
		io.WriteString(conn, "get=1\n\n")
		time.Sleep(pauseTimeout + time.Second)
		if rest, _ := io.ReadAll(conn); len(rest) > 0 {
			t.Errorf("after %v without reading, %d bytes arrived", time.Since(begun), len(rest))
		}
	})
}

// The client has the same timeout for its daemon.
func TestClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		client := newClient("wg0", ours)
		defer client.Close()
		go func() {
			requests := bufio.NewReader(theirs)
			for range 2 {
				answer(requests)
				for range 500 {
					io.WriteString(theirs, "drop=x:1\n")
					time.Sleep(pauseTimeout - time.Second)
				}
				io.WriteString(theirs, "errno=0\n\n")
			}
			answer(requests) // and does not answer
		}()
		if s, err := client.Status(); err != nil || len(s.Drops) != 500 {
			t.Errorf("Status: got %d drops, %v, want 500", len(s.Drops), err)
		}
		if err := client.Apply(conf.Change{}); err != nil {
			t.Errorf("Apply: %v", err)
		}
		begun := time.Now()
		if _, err := client.Status(); err == nil || !strings.Contains(err.Error(), "does not answer") || time.Since(begun) != pauseTimeout {
			t.Errorf("Status: got %v after %v, want an error after %v", err, time.Since(begun), pauseTimeout)
		}
	})
}

// A reading of several interfaces may take long, if no pause is long.
func TestReadingTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		client := newClient("wg0", ours)
		defer client.Close()
		client.conn.timeout = readingTimeout
		go func() {
			requests := bufio.NewReader(theirs)
			answer(requests)
			for range 5 {
				io.WriteString(theirs, "drop=x:1\n")
				time.Sleep(readingTimeout - time.Second)
			}
			io.WriteString(theirs, "errno=0\n\n")
			answer(requests)
		}()
		if s, err := client.Status(); err != nil || len(s.Drops) != 5 {
			t.Errorf("got %d drops, %v, want 5", len(s.Drops), err)
		}
		begun := time.Now()
		if _, err := client.Status(); err == nil || !strings.Contains(err.Error(), "does not answer") || time.Since(begun) != readingTimeout {
			t.Errorf("got %v after %v, want an error after %v", err, time.Since(begun), readingTimeout)
		}
	})
}

// A daemon that does not answer hides no other interface.
func TestStatuses(t *testing.T) {
	controltest.UseTempDir(t, &Dir)
	before := readingTimeout
	readingTimeout = 100 * time.Millisecond
	t.Cleanup(func() { readingTimeout = before })
	silent, err := net.Listen("unix", SocketPath("wg0"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, name := range []string{"wg1", "wg3"} {
		server, err := Listen(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		go server.Serve(controltest.New(conf.Status{ListenPort: 7}))
		defer server.Close()
	}
	list := Statuses([]string{"wg0", "wg1", "wg2", "wg3"})
	for i, want := range []string{"wg0: the daemon does not answer", "", "wg2: no such interface", ""} {
		r := list[i]
		if r.Name != fmt.Sprint("wg", i) || (r.Err == nil) != (want == "") || r.Err != nil && !strings.Contains(r.Err.Error(), want) {
			t.Errorf("%s: %v, want %q", r.Name, r.Err, want)
		}
		if r.Err == nil && (r.Status.Name != r.Name || r.Status.ListenPort != 7) {
			t.Errorf("%s: %+v", r.Name, r.Status)
		}
	}
}

// fillConnections opens as many connections as the server allows, one every
// millisecond. Each client sends the text.
func fillConnections(t *testing.T, p *pipeListener, text string) (clients []net.Conn) {
	t.Helper()
	for range maxConnections {
		conn := p.dial()
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, text)
		clients = append(clients, conn)
		time.Sleep(time.Millisecond)
	}
	return clients
}

// closedByServer returns the indexes of the clients whose connections the server
// has closed. It closes all connections.
func closedByServer(clients []net.Conn) (which []int) {
	for i, c := range clients {
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); err == io.EOF {
			which = append(which, i)
		}
		c.Close()
	}
	return which
}

// If all connections are in use by clients that send nothing, or have stopped
// within a request, new connections replace those that have been idle for the
// longest time, and no others.
func TestIdleConnectionsAreEvicted(t *testing.T) {
	for _, text := range []string{"", "set=1\nlisten_port=5\n", "s"} {
		withServer(t, controltest.New(conf.Status{}), func(t *testing.T, p *pipeListener) {
			clients := fillConnections(t, p, text)
			time.Sleep(10 * time.Second)
			// Client 0 becomes active, so it is not evicted.
			if text == "" {
				io.WriteString(clients[0], "get=1\n\n")
				answer(bufio.NewReader(clients[0]))
			} else {
				io.WriteString(clients[0], "x")
			}
			time.Sleep(idleTime / 2)
			for range 3 {
				begun := time.Now()
				client := newClient("wg0", p.dial())
				if _, err := client.Status(); err != nil || time.Since(begun) > idleTime {
					t.Errorf("%q: Status on a new connection after %v: %v", text, time.Since(begun), err)
				}
				defer client.Close()
			}
			if which := closedByServer(clients); !reflect.DeepEqual(which, []int{1, 2, 3}) {
				t.Errorf("%q: closed connections: %v, want 1, 2 and 3", text, which)
			}
		})
	}
}

// Connections that were active within the last second are not evicted. A new
// connection waits until one is idle for that long, or until one is closed.
func TestActiveConnectionsAreNotEvicted(t *testing.T) {
	withServer(t, controltest.New(conf.Status{}), func(t *testing.T, p *pipeListener) {
		clients := fillConnections(t, p, "")
		next := make(chan time.Duration)
		begun := time.Now()
		go func() {
			client := newClient("wg0", p.dial())
			defer client.Close()
			client.Status()
			next <- time.Since(begun)
		}()
		time.Sleep(10 * time.Millisecond)
		clients[7].Close()
		if took := <-next; took != 10*time.Millisecond {
			t.Errorf("the new connection waited for %v, want 10ms", took)
		}
		if which := closedByServer(clients); which != nil {
			t.Errorf("closed connections: %v, want none", which)
		}
	})
}

// A slowTarget takes an hour to apply a change.
type slowTarget struct{ *controltest.Target }

func (t slowTarget) Apply(c conf.Change) error {
	time.Sleep(time.Hour)
	return t.Target.Apply(c)
}

// A client that waits for its request to be applied is not idle.
func TestWaitingClientsAreNotEvicted(t *testing.T) {
	target := slowTarget{controltest.New(conf.Status{})}
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		clients := fillConnections(t, p, "set=1\nlisten_port=5\n\n")
		next := make(chan time.Time, 1)
		go func() {
			conn := p.dial()
			defer conn.Close()
			io.WriteString(conn, "get=1\n\n")
			answer(bufio.NewReader(conn))
			next <- time.Now()
		}()
		time.Sleep(time.Hour - time.Second)
		select {
		case <-next:
			t.Error("a new connection was served while all others waited for the target")
		default:
		}
		for i, c := range clients {
			if got, err := answer(bufio.NewReader(c)); got != "errno=0\n\n" {
				t.Errorf("client %d: got %q, %v", i, got, err)
			}
			c.Close()
		}
		<-next
	})
}

// If the server is closed while a connection waits to be served, Serve returns,
// and the connection is closed.
func TestCloseWhileAConnectionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipeListener{make(chan net.Conn), make(chan struct{})}
		server := &Server{name: "wg0", listener: p, connections: newConnections(maxConnections)}
		ended := make(chan error)
		go func() { ended <- server.Serve(controltest.New(conf.Status{})) }()
		fillConnections(t, p, "")
		waiting := p.dial()
		synctest.Wait()
		begun := time.Now()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil || time.Since(begun) > 0 {
			t.Errorf("Serve: got %v after %v, want nil at once", err, time.Since(begun))
		}
		if _, err := waiting.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection that waited: got %v, want EOF", err)
		}
	})
}
