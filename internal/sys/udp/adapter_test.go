package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"wgd/internal/asynctest"
	"wgd/internal/batch"
	"wgd/internal/wire"
)

var (
	remoteA = netip.MustParseAddrPort("192.0.2.1:1000")
	remoteB = netip.MustParseAddrPort("[2001:db8::2]:2000")
)

// A scriptedConn is a Conn whose Read returns what a test puts into reads.
type scriptedConn struct {
	reads  chan scriptedRead
	closed chan struct{}
	write  func(b []byte, size int, to netip.AddrPort) error
}

type scriptedRead struct {
	data []byte
	n    int // if it is not len(data)
	size int
	from netip.AddrPort
	err  error
}

func newScripted(reads ...scriptedRead) *scriptedConn {
	c := &scriptedConn{reads: make(chan scriptedRead, max(len(reads), 1)), closed: make(chan struct{})}
	for _, r := range reads {
		c.reads <- r
	}
	return c
}

func (c *scriptedConn) Port() uint16 { return 7 }

func (c *scriptedConn) Read(b []byte) (int, int, netip.AddrPort, error) {
	select {
	case r := <-c.reads:
		n := copy(b, r.data)
		if r.n != 0 {
			n = r.n
		}
		return n, r.size, r.from, r.err
	case <-c.closed:
		return 0, 0, netip.AddrPort{}, os.ErrClosed
	}
}

func (c *scriptedConn) Write(b []byte, size int, to netip.AddrPort) error {
	return c.write(b, size, to)
}
func (c *scriptedConn) Close() error { close(c.closed); return nil }

func adapt(t testing.TB, c Conn) *Single {
	t.Helper()
	s, err := Adapt(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// datagrams returns count datagrams of the length back to back, which are numbered from
// first; the last one has the length last.
func datagrams(first, count, length, last int) []byte {
	data := make([]byte, (count-1)*length+last)
	for i := range count {
		binary.BigEndian.PutUint16(data[i*length:], uint16(first+i))
	}
	return data
}

// awaitTrains waits until this number of trains is pending.
func awaitTrains(t *testing.T, s *Single, count int) {
	t.Helper()
	g := s.Group.(*connGroup)
	asynctest.Eventually(t, "the trains are pending", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.pending.trains)-g.pending.first == count
	})
}

// What lies back to back is joined to trains: equal lengths from one address, of which
// the last may be shorter. Nothing else is.
func TestAdapterJoinsTrains(t *testing.T) {
	mapped := netip.AddrPortFrom(netip.AddrFrom16(remoteA.Addr().As16()), remoteA.Port())
	s := adapt(t, newScripted(
		scriptedRead{data: datagrams(0, 1, 100, 100), size: 100, from: remoteA},
		scriptedRead{data: datagrams(1, 3, 100, 100), size: 100, from: mapped}, // A54
		scriptedRead{data: datagrams(4, 1, 100, 60), size: 60, from: remoteA},
		scriptedRead{data: datagrams(5, 1, 100, 100), size: 100, from: remoteA}, // after a shorter one
		scriptedRead{data: datagrams(6, 1, 100, 100), size: 100, from: remoteB}, // of another sender
		scriptedRead{data: datagrams(7, 1, 120, 120), size: 120, from: remoteB}, // a longer one
		scriptedRead{data: nil, size: 0, from: remoteB},
		scriptedRead{data: datagrams(8, 2, 50, 20), size: 500, from: remoteA}, // size is limited to the data
	))
	awaitTrains(t, s, 6)
	want := []struct {
		length, stride, first int
		from                  netip.AddrPort
	}{{460, 100, 0, remoteA}, {100, 100, 5, remoteA}, {100, 100, 6, remoteB}, {120, 120, 7, remoteB}, {0, 0, 0, remoteB}, {70, 70, 8, remoteA}}
	var got []batch.Batch
	r := s.Socket(0).NewReceiver()
	for _, depth := range []int{1, 2, MaxDepth} { // less than there is, and all the rest
		bs := make([]batch.Batch, depth)
		n, err := r.Recv(bs)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bs[:n] {
			if b.Remote.Source.IsValid() || b.ECN != 0 || !bytes.Equal(b.Buf[b.Off:b.Off+len(b.Data)], b.Data) {
				t.Errorf("source %v, ECN %d; or Buf does not have the data", b.Remote.Source, b.ECN)
			}
			b.Data = slices.Clone(b.Data)
			got = append(got, b)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d trains, want %d", len(got), len(want))
	}
	for i, w := range want {
		b := got[i]
		if len(b.Data) != w.length || b.Stride != w.stride || b.Remote != wire.NewEndpoint(w.from, netip.Addr{}, 0) ||
			len(b.Data) > 1 && int(binary.BigEndian.Uint16(b.Data)) != w.first {
			t.Errorf("train %d: %d bytes of stride %d from %v, want %+v", i, len(b.Data), b.Stride, b.Remote.Remote, w)
		}
	}
	if n, err := r.TryRecv(make([]batch.Batch, 1)); n != 0 || err != nil {
		t.Errorf("nothing is left: %d, %v", n, err)
	}
}

// More than a chunk holds waits in the Conn, and nothing is lost or reordered.
func TestAdapterWaitsForRoom(t *testing.T) {
	const count, size = 3 * chunkSize / 1400, 1400
	var reads []scriptedRead
	for i := range count {
		reads = append(reads, scriptedRead{data: datagrams(i, 1, size, size), size: size, from: remoteA})
	}
	s := adapt(t, newScripted(reads...))
	r, bs, next := s.Socket(0).NewReceiver(), make([]batch.Batch, 2), 0
	for next < count {
		if err := s.Socket(0).Wait(); err != nil {
			t.Fatal(err)
		}
		n, err := r.Recv(bs[:1+next%2])
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bs[:n] {
			if len(b.Data) > batch.MaxDatagram4 || b.Count() > MaxSegments {
				t.Fatalf("a train of %d datagrams and %d bytes", b.Count(), len(b.Data))
			}
			for i := range b.Count() {
				if got := int(binary.BigEndian.Uint16(b.At(i))); got != next || len(b.At(i)) != size {
					t.Fatalf("got datagram %d of %d bytes, want %d of %d", got, len(b.At(i)), next, size)
				}
				next++
			}
		}
	}
}

// An error of Read is returned once, also if it makes no sense, and reading continues.
func TestAdapterReadErrors(t *testing.T) {
	broken := errors.New("broken")
	s := adapt(t, newScripted(
		scriptedRead{err: broken},
		scriptedRead{n: -1, from: remoteA}, scriptedRead{n: maxRead + 1, from: remoteA},
		scriptedRead{data: []byte{1}, size: 0, from: remoteA}, scriptedRead{data: []byte{1}, size: -1, from: remoteA},
		scriptedRead{data: []byte{1}, size: 1}, // from nobody: ignored
		scriptedRead{data: []byte{2}, size: 1, from: remoteA},
	))
	r, bs := s.Socket(0).NewReceiver(), make([]batch.Batch, 1)
	for i, want := range []error{broken, errBadRead, errBadRead, errBadRead, errBadRead} {
		if n, err := r.Recv(bs); n != 0 || err != want {
			t.Errorf("read %d: %d, %v, want %v", i, n, err, want)
		}
	}
	if n, err := r.Recv(bs); n != 1 || err != nil || bs[0].Data[0] != 2 {
		t.Errorf("after the errors: %d, %v", n, err)
	}
}

// Close ends Recv and Wait, and the goroutine, also if it waits for room or for its error
// to be taken.
func TestAdapterClose(t *testing.T) {
	noLeaks := asynctest.CheckLeaks(t)
	for _, reads := range [][]scriptedRead{
		nil,
		{{err: errors.New("broken")}},
		slices.Repeat([]scriptedRead{{data: make([]byte, maxRead), size: maxRead, from: remoteA}}, 4),
	} {
		c := newScripted(reads...)
		s := adapt(t, c)
		results := make(chan error, 2)
		if len(reads) == 0 {
			go func() { results <- s.Socket(0).Wait() }()
			go func() {
				_, err := s.Socket(0).NewReceiver().Recv(make([]batch.Batch, 1))
				results <- err
			}()
		} else {
			close(results)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if len(reads) == 0 {
			for range 2 {
				if err := <-results; err != os.ErrClosed {
					t.Errorf("got %v, want %v", err, os.ErrClosed)
				}
			}
		}
		if _, err := s.Socket(0).NewReceiver().TryRecv(make([]batch.Batch, 1)); err != os.ErrClosed {
			t.Errorf("TryRecv: got %v, want %v", err, os.ErrClosed)
		}
		if err := s.NewSender().Send(&batch.Batch{Data: []byte{1}, Stride: 1, Remote: wire.NewEndpoint(remoteA, netip.Addr{}, 0)}); err != os.ErrClosed {
			t.Errorf("Send: got %v, want %v", err, os.ErrClosed)
		}
	}
	noLeaks()
}

// Send passes a train on as it is, with the length of its datagrams, and returns the
// error of Write.
func TestAdapterSend(t *testing.T) {
	full := errors.New("full")
	var sizes []int
	c := newScripted()
	c.write = func(b []byte, size int, to netip.AddrPort) error {
		if sizes = append(sizes, len(b), size); to == remoteB {
			return full
		}
		return nil
	}
	s := adapt(t, c)
	a, b := wire.NewEndpoint(remoteA, netip.Addr{}, 0), wire.NewEndpoint(remoteB, netip.Addr{}, 0)
	for _, x := range []struct {
		batch batch.Batch
		want  error
	}{
		{batch.Batch{Data: make([]byte, 25), Stride: 10, Remote: a}, nil},
		{batch.Batch{Data: make([]byte, 5), Stride: 10, Remote: a}, nil},
		{batch.Batch{Data: make([]byte, 5), Remote: b}, full},
		{batch.Batch{Data: make([]byte, 5)}, ErrBadEndpoint},
	} {
		if err := s.NewSender().Send(&x.batch); err != x.want {
			t.Errorf("got %v, want %v", err, x.want)
		}
	}
	if want := []int{25, 10, 5, 5, 5, 5}; !slices.Equal(sizes, want) {
		t.Errorf("lengths %v, want %v", sizes, want)
	}
	var refused *MarkRefused
	if err := s.SetMark(7); !errors.As(err, &refused) || s.SetMark(0) != nil {
		t.Errorf("a mark: %v", err)
	}
	if s.SetSockets(2) == nil || s.SetSockets(1) != nil || s.Port() != 7 || !s.Caps().OneSocket {
		t.Error("there is one socket, on the port of the Conn")
	}
	c = newScripted()
	if _, err := Adapt(c, Options{Mark: 7}); !errors.As(err, &refused) {
		t.Errorf("a mark: %v", err)
	}
	<-c.closed // Adapt has closed it
}

// After an error, the datagrams of a train are sent again one by one, until two in a row
// have failed. A single datagram and a congested path are left alone.
func TestAdapterSendsAgain(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		count int
		fails func(call int, b []byte) error
		want  error
		sent  []byte // numbers of the datagrams, in order
		calls int
	}{
		"one error":         {5, func(call int, _ []byte) error { return only(call == 1, broken) }, nil, []byte{0, 1, 2, 3, 4}, 6},
		"one bad datagram":  {5, func(_ int, b []byte) error { return only(bytes.Contains(b, []byte{0, 2}), broken) }, broken, []byte{0, 1, 3, 4}, 6},
		"two bad datagrams": {6, func(_ int, b []byte) error { return only(bytes.ContainsAny(b, "\x01\x03"), broken) }, broken, []byte{0, 2, 4, 5}, 7},
		"nothing works":     {5, func(int, []byte) error { return broken }, broken, nil, 3},
		"one datagram":      {1, func(int, []byte) error { return broken }, broken, nil, 1},
		"congestion":        {5, func(int, []byte) error { return ErrBacklog }, ErrBacklog, nil, 1},
	} {
		conn, calls, sent := newScripted(), 0, []byte(nil)
		conn.write = func(b []byte, size int, to netip.AddrPort) error {
			if calls++; to != remoteA || len(b) > size && (size != 10 || len(b) != 10*(c.count-1)+4) {
				t.Errorf("%s: %d bytes of size %d to %v", name, len(b), size, to)
			}
			err := c.fails(calls, b)
			for i := 0; err == nil && i < len(b); i += size {
				sent = append(sent, b[i+1])
			}
			return err
		}
		train := batch.Batch{Data: datagrams(0, c.count, 10, 4), Stride: 10, Remote: wire.NewEndpoint(remoteA, netip.Addr{}, 0)}
		if err := adapt(t, conn).NewSender().Send(&train); err != c.want || calls != c.calls || !bytes.Equal(sent, c.sent) {
			t.Errorf("%s: %v after %d calls, sent %v; want %v, %d, %v", name, err, calls, sent, c.want, c.calls, c.sent)
		}
	}
}

// SendAll sends each train, whatever became of those before it.
func TestAdapterSendAll(t *testing.T) {
	broken := errors.New("broken")
	var sent []netip.AddrPort
	c := newScripted()
	c.write = func(_ []byte, _ int, to netip.AddrPort) error {
		if to == remoteA {
			return broken
		}
		sent = append(sent, to)
		return nil
	}
	to := func(at netip.AddrPort) batch.Batch {
		return batch.Batch{Data: []byte("x"), Stride: 1, Remote: wire.NewEndpoint(at, netip.Addr{}, 0)}
	}
	bs, errs := []batch.Batch{to(remoteB), to(remoteA), {}, to(remoteB)}, make([]error, 4)
	adapt(t, c).NewSender().SendAll(bs, errs)
	if want := []error{nil, broken, ErrBadEndpoint, nil}; !slices.Equal(errs, want) || !slices.Equal(sent, []netip.AddrPort{remoteB, remoteB}) {
		t.Errorf("%v, want %v; sent to %v", errs, want, sent)
	}
}

func only(fails bool, err error) error {
	if fails {
		return err
	}
	return nil
}

// A Conn that has ended by itself is not read again. What it returned before is received
// first; then Recv says once what happened, and later only that it is closed.
func TestAdapterReadsNoMoreAfterTheEnd(t *testing.T) {
	for _, ended := range []error{os.ErrClosed, &net.OpError{Op: "read", Err: net.ErrClosed}} {
		c := newScripted(
			scriptedRead{data: []byte{1}, size: 1, from: remoteA},
			scriptedRead{err: ended},
			scriptedRead{data: []byte{2}, size: 1, from: remoteA},
		)
		s := adapt(t, c)
		<-s.Group.(*connGroup).ended // the goroutine
		if len(c.reads) != 1 {
			t.Errorf("%v: %d reads are left, want 1", ended, len(c.reads))
		}
		r, bs := s.Socket(0).NewReceiver(), make([]batch.Batch, 1)
		if n, err := r.Recv(bs); n != 1 || err != nil {
			t.Errorf("%v: what arrived before: %d, %v", ended, n, err)
		}
		if _, err := r.Recv(bs); err != (ConnEnded{}) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v: got %v, want ConnEnded", ended, err)
		}
		for range 2 {
			if _, err := s.Socket(0).NewReceiver().Recv(bs); err != os.ErrClosed {
				t.Errorf("%v: got %v, want %v", ended, err, os.ErrClosed)
			}
		}
		if err := s.Socket(0).Wait(); err != nil { // TryRecv returns the error
			t.Errorf("Wait: %v", err)
		}
	}
}
