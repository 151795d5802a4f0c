//go:build unix

package readable

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// TestWait: waiting ends when there is data, when the stream has ended, at the
// deadline, and when the connection is closed; not before.
func TestWait(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	wait := Waiter(a)
	a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := wait(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("without data, waiting ends with %v, want the deadline", err)
	}
	a.SetReadDeadline(time.Now().Add(20 * time.Second))
	b.Write([]byte("ab"))
	for want := 1; want <= 2; want++ { // what is left of the data counts as well
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	b.Close()
	for range 2 {
		if err := wait(); err != nil {
			t.Errorf("at the end of the stream, waiting ends with %v, want nil", err)
		}
	}
	go func() { a.Close() }()
	for err == nil {
		err = wait()
	}
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("waiting on a closed connection ends with %v", err)
	}
}

// TestNoSocket: a connection that is no socket has no Waiter.
func TestNoSocket(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Waiter(a) != nil {
		t.Error("a pipe in memory has a Waiter")
	}
}

// TestAllocations: waiting allocates nothing.
func TestAllocations(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wait := Waiter(c)
	c.WriteTo([]byte{1}, c.LocalAddr())
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { wait() }); n > 0 {
		t.Errorf("waiting allocates %v times", n)
	}
}
