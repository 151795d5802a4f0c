package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// Stdio joins a connection with a pair of streams, such as standard input and
// output. The end of in is passed on as the end of what conn sends. Stdio returns
// when conn has ended or failed, out has failed, or ctx is done, and has then
// closed conn. A read of in that blocks is interrupted where in has read
// deadlines; otherwise it is left behind.
func Stdio(ctx context.Context, conn net.Conn, in io.Reader, out io.Writer) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	sent := make(chan error, 1)
	go func() {
		// Without splice(2), whose pipes stay open for a while.
		_, err := io.Copy(struct{ io.Writer }{conn}, in)
		if err == nil {
			err = closeWrite(conn)
		}
		sent <- err
	}()
	_, err := io.Copy(out, struct{ io.Reader }{conn})
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	conn.Close()
	if interruptible, ok := in.(readDeadliner); ok && interruptible.SetReadDeadline(time.Unix(1, 0)) == nil {
		if sendErr := <-sent; err == nil && errors.Is(sendErr, errNoHalfClose) {
			err = sendErr
		}
	}
	return err
}

// readDeadliner is an *os.File or a connection. Files without deadlines return an
// error.
type readDeadliner interface{ SetReadDeadline(time.Time) error }
