package control

import (
	"bufio"
	"context"
	"io"
	"net"
	"time"

	"wgd/conf"
	"wgd/internal/uapi"
)

// A Capturer is a Target whose packets can be captured.
type Capturer interface {
	// Capture writes packets to w, in the format pcapng, until ctx is done or the
	// Target ends. It waits for w as long as it must, and nothing else does. An error
	// before the first Write is a sentence for the user.
	Capture(ctx context.Context, c conf.Capture, w io.Writer) error
}

// capture answers a request for a capture, which is the last one of its connection. The
// capture ends when the client closes its direction of the connection. Meanwhile the
// connection does not count as idle.
func (s *Server) capture(conn *connection, answer *bufio.Writer, t Target, want conf.Capture) {
	c, ok := t.(Capturer)
	if !ok {
		s.writeResult(answer, &uapi.Error{Errno: uapi.EPROTO, Sentence: "this daemon cannot capture packets"})
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn.SetReadDeadline(time.Time{})
	go func() {
		conn.Conn.Read(make([]byte, 1)) // returns at the end of the connection
		cancel()
	}()
	to := &captureWriter{conn: conn.Conn, begin: func() error { return s.writeResult(answer, nil) }}
	conn.work(func() {
		if err := c.Capture(ctx, want, to); err != nil && !to.begun {
			s.writeResult(answer, err)
		}
	})
}

// captureWriter writes a capture behind the result. It has no timeout: a client may stop
// reading for as long as it wants, since nothing waits for it but its own capture.
type captureWriter struct {
	conn  net.Conn
	begin func() error
	begun bool
}

func (w *captureWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun = true
		if err := w.begin(); err != nil {
			return 0, err
		}
		w.conn.SetWriteDeadline(time.Time{})
	}
	return w.conn.Write(p)
}

// Capture requests a capture of packets, and returns what reads it, in the format pcapng.
// It ends some time after EndCapture. The Client can make no other request.
func (c *Client) Capture(want conf.Capture) (io.Reader, error) {
	err := uapi.WriteCapture(c.request, &want)
	if err == nil {
		err = c.answers.Result()
	}
	if err != nil {
		return nil, c.explain(err)
	}
	c.conn.mayPause = true
	return c.answers.Rest(), nil
}

// EndCapture asks the daemon to end the capture. It may be called at any time.
func (c *Client) EndCapture() error {
	if half, ok := c.conn.Conn.(closeWriter); ok {
		return half.CloseWrite()
	}
	return c.conn.Close()
}
