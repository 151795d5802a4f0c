package netstack

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// pieces has some data, and gives a part of it at each Read.
type pieces struct {
	data []byte
	fail int // Read fails when so many bytes are left
}

func (p *pieces) Len() int { return len(p.data) }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) <= p.fail {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(b[:min(len(b), 1000)], p.data)
	p.data = p.data[n:]
	return n, nil
}

// tcpPair returns both ends of a connection between two stacks.
func tcpPair(t *testing.T) (near, far *tcpConn) {
	a, b := pair(t)
	connect(t, a, b)
	listener, err := b.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := a.Dial("tcp", "10.2.0.42:80")
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*tcpConn), accepted.(*tcpConn)
}

// WriteFrom writes all that a reader has, in order with what Write writes, also where it
// is more than the buffer of the connection takes.
func TestWriteFrom(t *testing.T) {
	near, far := tcpPair(t)
	sent := make([]byte, 20_000_000)
	rand.NewChaCha8([32]byte{1}).Read(sent)
	go func() {
		defer near.CloseWrite()
		for at, n := 0, 1; at < len(sent); n = n*3 + 1 {
			end := min(at+n, len(sent))
			if err := near.WriteFrom(&pieces{data: sent[at:end]}); err != nil {
				t.Errorf("WriteFrom: %v", err)
				return
			}
			at = end
			end = min(at+1, len(sent))
			near.Write(sent[at:end])
			at = end
		}
	}()
	got, err := io.ReadAll(far)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes arrived, or others: %v", len(got), len(sent), err)
	}
}

// An error of the reader ends WriteFrom, and so does Close while nobody reads what was
// sent.
func TestWriteFromEnds(t *testing.T) {
	near, _ := tcpPair(t)
	if err := near.WriteFrom(&pieces{data: make([]byte, 3000), fail: 1000}); err == nil {
		t.Error("the reader failed, WriteFrom did not")
	}
	waits := make(chan error)
	go func() { waits <- near.WriteFrom(&pieces{data: make([]byte, 100<<20)}) }()
	select {
	case err := <-waits:
		t.Fatalf("without a reader at the other end, WriteFrom ended: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	near.Close()
	if err := <-waits; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// What several goroutines write at the same time all arrives.
func TestWriteFromConcurrently(t *testing.T) {
	near, far := tcpPair(t)
	const each, rounds = 300_000, 10
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range rounds {
				if err := near.WriteFrom(&pieces{data: make([]byte, each)}); err != nil {
					t.Errorf("WriteFrom: %v", err)
				}
			}
		})
	}
	group.Go(func() {
		for range rounds {
			near.Write(make([]byte, each))
		}
	})
	go func() { group.Wait(); near.CloseWrite() }()
	if n, err := io.Copy(io.Discard, far); n != 3*each*rounds || err != nil {
		t.Errorf("%d of %d bytes arrived: %v", n, 3*each*rounds, err)
	}
}
