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

// These tests are about minutes, and take none: on virtual time, over pipes.

// pipeListener is a listener whose connections are pipes.
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

// dial connects; it waits to be accepted, as long as that takes.
func (p *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.accepted <- theirs
	return ours
}

// onVirtualTimeServer runs f with a server behind pipes.
func onVirtualTimeServer(t *testing.T, target Target, f func(t *testing.T, p *pipeListener)) {
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

// A request may take hours, if only something of it comes every minute: two pieces
// a line, for the first line, too. Between requests any time may pass.
func TestSlowRequestIsApplied(t *testing.T) {
	target := controltest.New(conf.Status{})
	onVirtualTimeServer(t, target, func(t *testing.T, p *pipeListener) {
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
				t.Fatalf("after %v: %q, %v", time.Since(begun), got, err)
			}
			if s := target.Status(); len(s.Peers) != 1000 || s.ListenPort != uint16(i+1) {
				t.Fatalf("%d peers, port %d", len(s.Peers), s.ListenPort)
			}
		}
	})
}

// One that pauses for a minute within a request is told so, and is gone, wherever
// in the request that is.
func TestPausedRequestIsEnded(t *testing.T) {
	target := controltest.New(conf.Status{})
	const want = "errno=-71\nerror=the request paused for 1m0s: nothing of it was applied\n\n"
	for _, half := range []string{"s", "set=1", "set=1\n", "set=1\nlisten_port=7", "set=1\nlisten_port=7\n", "get=1\n",
		"set=1\n" + strings.Repeat("x", 100_000), "set=1\nlisten_port=9\n\ns", "nonsense\n", "set=1\n\nget=1\n\nset=1\n"} {
		onVirtualTimeServer(t, target, func(t *testing.T, p *pipeListener) {
			conn := p.dial()
			defer conn.Close()
			answers := bufio.NewReader(conn)
			go io.WriteString(conn, half)
			for range strings.Count(half, "\n\n") {
				if got, err := answer(answers); err != nil {
					t.Fatalf("%.20q: before: %q, %v", half, got, err)
				}
			}
			begun := time.Now()
			got, err := io.ReadAll(answers)
			if string(got) != want || err != nil || time.Since(begun) != pauseTimeout {
				t.Errorf("%.20q: after %v: %q, %v", half, time.Since(begun), got, err)
			}
		})
	}
	if n := target.Status().ListenPort; n != 9 {
		t.Errorf("half a request was carried out: port %d", n)
	}
}

// So it is with answers: slow readers get all, sleepers are left alone.
func TestSlowReaderGetsWholeAnswer(t *testing.T) {
	status := conf.Status{Tunables: conf.DefaultTunables()}
	for i := range 2000 {
		status.Peers = append(status.Peers, conf.PeerStatus{PublicKey: key.Public{byte(i), byte(i >> 8), 1}})
	}
	target := controltest.New(status)
	onVirtualTimeServer(t, target, func(t *testing.T, p *pipeListener) {
		conn := p.dial()
		defer conn.Close()
		io.WriteString(conn, "get=1\n\n")
		var got strings.Builder
		for piece := make([]byte, 1000); !strings.HasSuffix(got.String(), "errno=0\n\n"); time.Sleep(pauseTimeout - time.Second) {
			n, err := conn.Read(piece)
			if err != nil {
				t.Fatalf("after %d bytes: %v", got.Len(), err)
			}
			got.Write(piece[:n])
		}
		if n := strings.Count(got.String(), "public_key="); n != len(status.Peers) {
			t.Errorf("%d peers", n)
		}
		begun := time.Now()
		io.WriteString(conn, "get=1\n\n")
		time.Sleep(pauseTimeout + time.Second)
		if rest, _ := io.ReadAll(conn); len(rest) > 0 {
			t.Errorf("%v later %d bytes came", time.Since(begun), len(rest))
		}
	})
}

// The client's end is as patient with its daemon.
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
			answer(requests) // and falls asleep
		}()
		if s, err := client.Status(); err != nil || len(s.Drops) != 500 {
			t.Errorf("%d drops, %v", len(s.Drops), err)
		}
		if err := client.Apply(conf.Change{}); err != nil {
			t.Error(err)
		}
		begun := time.Now()
		if _, err := client.Status(); err == nil || !strings.Contains(err.Error(), "does not answer") || time.Since(begun) != pauseTimeout {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

// fillConnections fills all places, one a millisecond; each client says the text.
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

// closedByServer are the clients whose connection was ended. It closes them all.
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

// When all places are taken by clients that say nothing, or do not go on, those
// that have been still for longest make room, and nobody else has to go.
func TestIdleConnectionsAreEvicted(t *testing.T) {
	for _, text := range []string{"", "set=1\nlisten_port=5\n", "s"} {
		onVirtualTimeServer(t, controltest.New(conf.Status{}), func(t *testing.T, p *pipeListener) {
			clients := fillConnections(t, p, text)
			time.Sleep(10 * time.Second)
			// These have spoken lately: neither is the one that has been still for longest.
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
					t.Errorf("%q: one more, after %v: %v", text, time.Since(begun), err)
				}
				defer client.Close()
			}
			if which := closedByServer(clients); !reflect.DeepEqual(which, []int{1, 2, 3}) {
				t.Errorf("%q: these had to go: %v", text, which)
			}
		})
	}
}

// Those that have moved within a second need not go: one more waits that long, and
// for no longer than it takes until one has finished.
func TestActiveConnectionsAreNotEvicted(t *testing.T) {
	onVirtualTimeServer(t, controltest.New(conf.Status{}), func(t *testing.T, p *pipeListener) {
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
			t.Errorf("it waited for %v", took)
		}
		if which := closedByServer(clients); which != nil {
			t.Errorf("these had to go: %v", which)
		}
	})
}

// slowTarget takes its time to carry out a request.
type slowTarget struct{ *controltest.Target }

func (t slowTarget) Apply(c conf.Change) error {
	time.Sleep(time.Hour)
	return t.Target.Apply(c)
}

// A client that waits for the daemon is not idle, however long it waits.
func TestWaitingClientsAreNotEvicted(t *testing.T) {
	target := slowTarget{controltest.New(conf.Status{})}
	onVirtualTimeServer(t, target, func(t *testing.T, p *pipeListener) {
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
			t.Error("one more was served, and all the others wait")
		default:
		}
		for i, c := range clients {
			if got, err := answer(bufio.NewReader(c)); got != "errno=0\n\n" {
				t.Errorf("client %d: %q, %v", i, got, err)
			}
			c.Close()
		}
		<-next
	})
}

// A server that is closed while one waits for a place ends, and so does the wait.
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
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		if _, err := waiting.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("who waited: %v", err)
		}
	})
}
