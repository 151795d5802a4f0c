package readable

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair returns the ends of a connection over the loopback interface.
func pair(t *testing.T) (a, b *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near.(*net.TCPConn), far.(*net.TCPConn)
}

// TestSource: a Source has what has arrived, knows its length, and leaves the end of the
// stream to the connection.
func TestSource(t *testing.T) {
	a, b := pair(t)
	s := SourceOf(b)
	b.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := s.Wait(); !errors.Is(err, os.ErrDeadlineExceeded) || s.Len() != 0 {
		t.Errorf("without data, waiting ends with %v and %d bytes, want the deadline", err, s.Len())
	}
	b.SetReadDeadline(time.Now().Add(20 * time.Second))
	a.Write([]byte("abc"))
	a.CloseWrite()
	got := make([]byte, 9)
	for n := 0; n < 3; {
		if err := s.Wait(); err != nil {
			t.Fatal(err)
		}
		if s.Len() == 0 {
			t.Fatalf("after %d of 3 bytes there is nothing", n)
		}
		k, err := s.Read(got[n : n+2])
		if n += k; err != nil || k == 0 {
			t.Fatalf("read %d bytes: %v", k, err)
		}
	}
	if string(got[:3]) != "abc" {
		t.Errorf("read %q", got[:3])
	}
	for range 2 {
		if err := s.Wait(); err != nil || s.Len() != 0 {
			t.Errorf("at the end of the stream, waiting ends with %v and %d bytes", err, s.Len())
		}
		if n, err := s.Read(got); n != 0 || err != nil {
			t.Errorf("read %d bytes of none: %v", n, err)
		}
	}
	if n, err := b.Read(got); n != 0 || err != io.EOF {
		t.Errorf("after the Source, the connection reads %d bytes: %v", n, err)
	}
}

// TestSourceThatEnds: if bytes are missing that had arrived, that is an error of Read but
// not io.EOF. A reset is left to the connection.
func TestSourceThatEnds(t *testing.T) {
	a, b := pair(t)
	s := SourceOf(b)
	a.Write([]byte("abc"))
	if err := s.Wait(); err != nil || s.Len() != 3 {
		t.Fatalf("%d bytes, %v", s.Len(), err)
	}
	b.Read(make([]byte, 3)) // behind the back of the Source
	a.Close()
	if n, err := s.Read(make([]byte, 3)); n != 0 || err != io.ErrUnexpectedEOF || s.Err() != err {
		t.Errorf("read %d bytes that are not there: %v", n, err)
	}
	a, b = pair(t)
	s = SourceOf(b)
	a.SetLinger(0)
	a.Close()
	if err := s.Wait(); err != nil || s.Len() != 0 {
		t.Errorf("after a reset, waiting ends with %v and %d bytes", err, s.Len())
	}
	if _, err := b.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("after a reset, the connection reads: %v", err)
	}
	b.Close()
	if err := s.Wait(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("waiting on a closed connection ends with %v", err)
	}
}

// TestSourceAllocations: a Source allocates nothing, and what is no socket has none.
func TestSourceAllocations(t *testing.T) {
	a, b := pair(t)
	s := SourceOf(b)
	buf := make([]byte, 64)
	n := testing.AllocsPerRun(100, func() {
		a.Write(buf)
		if err := s.Wait(); err != nil {
			t.Fatal(err)
		}
		s.Read(buf)
	})
	if n > 0 {
		t.Errorf("waiting and reading allocate %v times", n)
	}
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	if SourceOf(pipe) != nil {
		t.Error("a pipe in memory has a Source")
	}
}
