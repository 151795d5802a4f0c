package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"wgd/internal/sys/errno"
	"wgd/internal/uapi"
)

// A Connector is a Target that can open connections through its tunnel.
type Connector interface {
	// Connect opens a TCP connection to HOST:PORT in the tunnel, until ctx is done. carry
	// copies between it and a client, and closes both in the end. The error is a sentence
	// for the user, or ErrEnding.
	Connect(ctx context.Context, target string) (carry func(client net.Conn), err error)
}

// ErrEnding is the error of a Connector that is about to end.
var ErrEnding = &uapi.Error{Errno: uapi.ESHUTDOWN, Sentence: "the daemon is about to end: try again"}

// connect answers a request for a connection, and if it can be opened, makes this one part
// of it. It returns io.EOF when that has ended.
func (s *Server) connect(conn *connection, answer *bufio.Writer, t Target, request *uapi.Request) error {
	connector, ok := t.(Connector)
	switch {
	case !ok:
		return s.writeResult(answer, &uapi.Error{Errno: uapi.EPROTO, Sentence: "this daemon opens no connections: wgd proxy does"})
	case request.Early:
		return s.writeResult(answer, &uapi.Error{Errno: uapi.EPROTO, Sentence: "there is data behind the request: wait for the answer"})
	case !s.connections.beginCarrying():
		return s.writeResult(answer, &uapi.Error{Errno: uapi.EIO, Sentence: "this daemon has as many connections as it can have for others: use --socks5 or --forward"})
	}
	defer s.connections.endCarrying()
	conn.setWorking(true)
	defer conn.setWorking(false)
	client := conn.timedConn.Conn
	ctx, stop := whileConnected(client)
	carry, err := connector.Connect(ctx, request.Connect)
	conn.early = stop()
	if err != nil {
		return s.writeResult(answer, err)
	}
	if err := s.writeResult(answer, nil); err != nil {
		conn.Close()
	}
	client.SetDeadline(time.Time{})
	if len(conn.early) > 0 {
		client = &carried{client, conn.early}
	}
	carry(client)
	return io.EOF
}

// whileConnected returns a context that is cancelled when the client closes its direction
// of the connection. It reads from client for that, until stop is called, which returns
// what it has read.
func whileConnected(client net.Conn) (ctx context.Context, stop func() (early []byte)) {
	ctx, cancel := context.WithCancel(context.Background())
	client.SetReadDeadline(time.Time{})
	read := make(chan []byte, 1)
	go func() {
		b := make([]byte, 1)
		n, err := client.Read(b)
		if n == 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel()
		}
		read <- b[:n]
	}()
	return ctx, func() []byte {
		client.SetReadDeadline(time.Unix(1, 0))
		early := <-read
		cancel()
		return early
	}
}

// Ended reports whether an error of a Client means that the daemon has ended or is about to,
// so that another one may begin in its place.
func Ended(err error) bool {
	var refused *uapi.Error
	if errors.As(err, &refused) {
		return refused.Errno == uapi.ESHUTDOWN
	}
	return errors.Is(err, ErrNotRunning) || errors.Is(err, uapi.ErrClosed) || errno.Broken(err)
}

// beginCarrying reports whether one more connection may be carried. They take at most half
// of the places, so that requests get the others.
func (c *connections) beginCarrying() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.carried >= c.max/2 {
		return false
	}
	c.carried++
	return true
}

func (c *connections) endCarrying() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.carried--
}

// Connect asks the daemon for a TCP connection to HOST:PORT in the tunnel. The Client is
// then the returned connection, and has no other use. See Ended for its errors.
func (c *Client) Connect(target string) (net.Conn, error) {
	err := uapi.WriteConnect(c.request, target)
	if err == nil {
		err = c.answers.Result()
	}
	if err != nil {
		return nil, c.explain(err)
	}
	c.conn.SetDeadline(time.Time{})
	return &carried{c.conn.Conn, c.answers.Buffered()}, nil
}

// A carried connection has received something with the request or the answer to it.
type carried struct {
	net.Conn
	early []byte
}

func (c *carried) Read(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.early)
	c.early = c.early[n:]
	return n, nil
}

// CloseWrite ends the stream that the client sends.
func (c *carried) CloseWrite() error {
	if half, ok := c.Conn.(closeWriter); ok {
		return half.CloseWrite()
	}
	return errNoHalfClose
}

// A closeWriter is a connection of which one direction can be closed: a *net.UnixConn.
type closeWriter interface{ CloseWrite() error }

var errNoHalfClose = errors.New("the connection cannot end one direction only")
