package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"wgd/conf"
	"wgd/internal/control/controltest"
	"wgd/key"
)

// A capturing Target writes text, and more at the end of a capture.
type capturing struct {
	Target
	text    string
	failure error // before anything is written
	asked   chan conf.Capture
	ctx     context.Context // of the last capture
	ended   chan error
}

func newCapturing(text string) *capturing {
	return &capturing{Target: new(controltest.Target), text: text, asked: make(chan conf.Capture, 1), ended: make(chan error, 1)}
}

func (c *capturing) Capture(ctx context.Context, want conf.Capture, w io.Writer) error {
	c.ctx = ctx
	c.asked <- want
	if c.failure != nil {
		return c.failure
	}
	_, err := io.WriteString(w, c.text)
	if err == nil {
		<-ctx.Done()
		_, err = io.WriteString(w, "the end")
	}
	c.ended <- err
	return err
}

func dialAt(t *testing.T, path string) *Client {
	t.Helper()
	client, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// A request for a capture reaches the Target as it was made. The client reads what the
// Target writes, also what it writes at the end.
func TestCapture(t *testing.T) {
	for _, want := range []conf.Capture{{Outer: true}, {Inner: true, Peer: &key.Public{1, 2, 3}}, {Outer: true, Inner: true}} {
		target := newCapturing("some packets\n\nerrno=1\n\n")
		client := dialAt(t, serveAt(t, target))
		stream, err := client.Capture(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-target.asked; !reflect.DeepEqual(got, want) {
			t.Errorf("the Target got %+v, want %+v", got, want)
		}
		first := make([]byte, len(target.text))
		if _, err := io.ReadFull(stream, first); err != nil || string(first) != target.text {
			t.Fatalf("read %q, %v", first, err)
		}
		if err := client.EndCapture(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(stream); err != nil || string(rest) != "the end" {
			t.Errorf("at the end: %q, %v", rest, err)
		}
	}
}

// A Target that refuses a capture, or has none, answers with a sentence.
func TestCaptureRefused(t *testing.T) {
	target := newCapturing("")
	target.failure = errors.New("wg7 has no such peer")
	for _, c := range []struct {
		target Target
		want   string
	}{{target, target.failure.Error()}, {new(controltest.Target), "this daemon cannot capture packets"}} {
		if _, err := dialAt(t, serveAt(t, c.target)).Capture(conf.Capture{Outer: true}); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	path := serveAt(t, target)
	if _, err := dialAt(t, path).Capture(conf.Capture{}); err == nil || !strings.Contains(err.Error(), "capture of nothing") {
		t.Errorf("a capture of nothing: %v", err)
	}
}

// A capture ends when its client goes away, and when the server closes.
func TestCaptureEnds(t *testing.T) {
	target := newCapturing("some packets")
	path := serveAt(t, target)
	client := dialAt(t, path)
	if _, err := client.Capture(conf.Capture{Outer: true}); err != nil {
		t.Fatal(err)
	}
	<-target.asked
	client.Close()
	<-target.ended
	if _, err := dialAt(t, path).Capture(conf.Capture{Outer: true}); err != nil {
		t.Fatal(err)
	}
	<-target.asked
	// The cleanup of serveAt waits for the second one.
}

// A client may stop reading for an hour, and then reads on: the capture waits, and its
// connection is not evicted.
func TestCaptureIsNotTimedOut(t *testing.T) {
	target := newCapturing("some packets")
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		conn := p.dial()
		defer conn.Close()
		for _, part := range []string{"capture=1\n", "outer=1\n\n"} { // a read within a request has a deadline
			if _, err := io.WriteString(conn, part); err != nil {
				t.Fatal(err)
			}
		}
		answers := bufio.NewReader(conn)
		if text, err := answer(answers); err != nil || text != "errno=0\n\n" {
			t.Fatalf("got %q, %v", text, err)
		}
		<-target.asked
		time.Sleep(time.Hour)
		synctest.Wait()
		var others []net.Conn
		for range maxConnections {
			others = append(others, p.dial())
			time.Sleep(2 * idleTime)
		}
		packets := make([]byte, len(target.text))
		if _, err := io.ReadFull(answers, packets); err != nil || string(packets) != target.text {
			t.Errorf("read %q, %v", packets, err)
		}
		if target.ctx.Err() != nil {
			t.Error("the capture was ended")
		}
		conn.Close()
		<-target.ended
		for _, c := range others {
			c.Close()
		}
	})
}
