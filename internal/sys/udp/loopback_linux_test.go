package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// testPair is a Pair with a Sender for both families, and its first sockets.
type testPair struct {
	*Pair
	Sender
	V4, V6 testGroup
}

// testGroup is the first socket of a family, with a Receiver. The testPair sends with
// its Send.
type testGroup struct {
	*conn
	Receiver
}

func pair(t testing.TB, o Options) *testPair {
	t.Helper()
	p, err := Listen(0, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return opened(p)
}

func opened(p *Pair) *testPair {
	list := &testPair{Pair: p}
	var by pairSender
	if c, ok := p.V4.(*conn); ok {
		list.V4, by.v4 = testGroup{c, newReceiver(c)}, c.tx
	}
	if c, ok := p.V6.(*conn); ok {
		list.V6, by.v6 = testGroup{c, newReceiver(c)}, c.tx
	}
	list.Sender = &by
	return list
}

// numbered returns a train of count datagrams of the length, each of which begins with
// its number; last is the length of the last one.
func numbered(count, length, last int, to wire.Endpoint) *batch.Batch {
	data := bytes.Repeat([]byte{0xcc}, (count-1)*length+last)
	for i := range count {
		if rest := data[i*length:]; len(rest) >= 4 {
			binary.BigEndian.PutUint32(rest, uint32(i))
		}
	}
	return &batch.Batch{Data: data, Stride: length, Remote: to}
}

// received is what was received from a socket.
type received struct {
	datagrams [][]byte
	trains    []batch.Batch // Data is nil
}

// collect receives count datagrams, depth trains at a time, and compares them with sent.
func collect(t testing.TB, c testGroup, depth int, sent *batch.Batch) (r received) {
	t.Helper()
	bs := make([]batch.Batch, depth)
	for len(r.datagrams) < sent.Count() {
		n, err := recvWithin(c, bs)
		if err != nil {
			t.Fatalf("after %d of %d datagrams: %v", len(r.datagrams), sent.Count(), err)
		}
		for _, b := range bs[:n] {
			for i := range b.Count() {
				r.datagrams = append(r.datagrams, bytes.Clone(b.At(i)))
			}
			b.Data = nil
			r.trains = append(r.trains, b)
		}
	}
	for i, got := range r.datagrams {
		if !bytes.Equal(got, sent.At(i)) {
			t.Fatalf("datagram %d of %d differs: %d bytes, sent %d", i, len(r.datagrams), len(got), len(sent.At(i)))
		}
	}
	return r
}

// recvWithin closes the socket after five seconds, which ends Recv.
func recvWithin(c testGroup, bs []batch.Batch) (int, error) {
	timer := time.AfterFunc(5*time.Second, func() { c.Close() })
	defer timer.Stop()
	return c.Recv(bs)
}

func endpoint(remote string, port uint16, source string, index uint32) wire.Endpoint {
	var from netip.Addr
	if source != "" {
		from = netip.MustParseAddr(source)
	}
	return wire.NewEndpoint(netip.AddrPortFrom(netip.MustParseAddr(remote), port), from, index)
}

// TestTrainsBothFamilies tests the matrix of B19: family, depth, GSO, GRO. It compares
// sizes, addresses, sources (A52) and ECN (A56).
func TestTrainsBothFamilies(t *testing.T) {
	for _, family := range []struct{ local, remote string }{{"127.0.0.3", "127.0.0.2"}, {"::1", "::1"}} {
		for _, o := range []Options{{}, {NoGSO: true}, {NoGRO: true}, {NoGSO: true, NoGRO: true}} {
			for _, depth := range []int{1, 8, MaxDepth} {
				a, b := pair(t, o), pair(t, o)
				from, to := a.V4, b.V4
				if family.remote == "::1" {
					from, to = a.V6, b.V6
				}
				if from.Caps().GSO == o.NoGSO || to.Caps().GRO == o.NoGRO {
					t.Fatalf("with %+v, the capabilities are %+v", o, from.Caps())
				}
				for _, shape := range [][3]int{{1, 100, 100}, {1, 0, 0}, {5, 100, 100}, {45, 1452, 700}, {200, 40, 3}, {2, 30000, 1}, {2, 60000, 60000}} {
					train := numbered(shape[0], shape[1], shape[2], endpoint(family.remote, b.Port(), family.local, 1))
					train.ECN, train.TOS = 1, 0x88
					if err := from.Send(train); err != nil {
						t.Fatal(shape, err)
					}
					r := collect(t, to, depth, train)
					want := endpoint(family.local, a.Port(), family.remote, 1)
					for _, got := range r.trains {
						if got.Remote != want || got.ECN != 1 || got.TOS != 0x88 {
							t.Fatalf("%+v, want %v", got, want)
						}
					}
					if one := len(r.trains) == 1; shape == [3]int{45, 1452, 700} && one != (o == Options{}) {
						t.Errorf("%+v: %d trains", o, len(r.trains))
					}
				}
				a.Close()
				b.Close()
			}
		}
	}
}

func TestLongestDatagrams(t *testing.T) { // A46
	a, b := pair(t, Options{}), pair(t, Options{})
	for _, test := range []struct {
		to   string
		max  int
		conn testGroup
	}{{"127.0.0.1", batch.MaxDatagram4, b.V4}, {"::1", batch.MaxDatagram6, b.V6}} {
		longest := numbered(1, test.max, test.max, endpoint(test.to, b.Port(), "", 0))
		if err := a.Send(longest); err != nil {
			t.Fatal(err)
		}
		collect(t, test.conn, 1, longest)
		if err := a.Send(numbered(1, test.max+1, test.max+1, longest.Remote)); !errors.Is(err, unix.EMSGSIZE) {
			t.Fatal(err)
		}
	}
}

func TestBadEndpoints(t *testing.T) {
	a := pair(t, Options{NoIPv6: true})
	for _, test := range []struct {
		to   wire.Endpoint
		want error
	}{
		{wire.Endpoint{}, ErrBadEndpoint},
		{endpoint("127.0.0.1", 0, "", 0), ErrBadEndpoint},
		{endpoint("::1", 1, "", 0), ErrNoFamily},
	} {
		if err := a.Send(&batch.Batch{Data: []byte{1}, Stride: 1, Remote: test.to}); !errors.Is(err, test.want) {
			t.Error(test.to, err)
		}
		if err := a.V4.Send(&batch.Batch{Data: []byte{1}, Stride: 1, Remote: test.to}); !errors.Is(err, test.want) {
			t.Error(test.to, err)
		}
	}
	unknown := &batch.Batch{Data: []byte{1}, Stride: 1, Remote: endpoint("fe80::1%nosuchif", 1, "", 0)}
	if err := pair(t, Options{}).Send(unknown); !errors.Is(err, unix.ENODEV) {
		t.Error(err)
	}
}

func TestIPv4MappedIsIPv4(t *testing.T) { // A54
	a, b := pair(t, Options{}), pair(t, Options{})
	train := &batch.Batch{Data: []byte("x"), Stride: 1,
		Remote: wire.Endpoint{Remote: netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), b.Port())}}
	if err := a.Send(train); err != nil {
		t.Fatal(err)
	}
	collect(t, b.V4, 1, train)
}

func TestBuffersAreLazy(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	train := numbered(3, 10, 10, endpoint("127.0.0.1", b.Port(), "", 0))
	for _, depth := range []int{1, MaxDepth} {
		if err := a.Send(train); err != nil {
			t.Fatal(err)
		}
		collect(t, b.V4, depth, train)
		if n := len(b.V4.Receiver.(*receiver).slots); n != depth {
			t.Fatalf("%d slots at depth %d", n, depth)
		}
	}
	if caps := b.V4.Caps(); caps.RecvBuffer <= 0 || caps.SendBuffer <= 0 {
		t.Fatalf("%+v", caps)
	}
}

// The trains of one read lie in one buffer, so that they can be decrypted together. Each
// one is complete, whatever earlier reads returned.
func TestTrainsShareABuffer(t *testing.T) {
	a, b := pair(t, Options{NoGSO: true}), pair(t, Options{NoGRO: true})
	bs := make([]batch.Batch, MaxDepth)
	for _, count := range []int{20, 3, 1, 40} {
		train := numbered(count, 500, 77, endpoint("127.0.0.1", b.Port(), "", 0))
		if err := a.Send(train); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < count; {
			n, err := b.V4.Recv(bs)
			if err != nil {
				t.Fatal(err)
			}
			for i, x := range bs[:n] {
				if !bytes.Equal(x.Data, train.At(got+i)) || &x.Buf[0] != &bs[0].Buf[0] || &x.Buf[x.Off] != &x.Data[0] {
					t.Fatalf("train of %d: datagram %d differs, or is in another buffer", count, got+i)
				}
				if x.Remote.Remote.Port() != a.Port() || !x.Remote.Source.IsValid() {
					t.Fatalf("train of %d: datagram %d is from %v", count, got+i, x.Remote)
				}
			}
			got += n
		}
	}
}

func TestCloseWhileBlocked(t *testing.T) { // B55, B59
	pair(t, Options{}).Close() // the runtime keeps the poller open
	before := descriptors(t)
	for round := range 1000 {
		p, err := Listen(0, Options{})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 4)
		for _, c := range p.Groups() {
			go func() { _, err := c.Socket(0).NewReceiver().Recv(make([]batch.Batch, 1+round%2)); done <- err }()
		}
		go func() {
			train, s := numbered(3, 10, 10, endpoint("127.0.0.1", 9, "", 0)), p.NewSender()
			for {
				if err := s.Send(train); err != nil {
					done <- err
					return
				}
			}
		}()
		if round%3 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		if err := errors.Join(p.Close(), p.Close()); err != nil {
			t.Fatal(err)
		}
		for range len(p.Groups()) + 1 {
			if err := <-done; err != os.ErrClosed {
				t.Fatal(err)
			}
		}
	}
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func BenchmarkLoopback(b *testing.B) {
	for name, o := range map[string]Options{"GSO-GRO": {}, "single": {NoGSO: true, NoGRO: true}} {
		b.Run(name, func(b *testing.B) {
			x, y := pair(b, o), pair(b, o)
			train := numbered(45, 1452, 700, endpoint("127.0.0.1", y.Port(), "", 0))
			bs := make([]batch.Batch, MaxDepth)
			depth := 1
			if o.NoGRO {
				depth = MaxDepth
			}
			b.SetBytes(int64(len(train.Data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := x.Send(train); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < train.Count(); {
					n, err := y.V4.Recv(bs[:depth])
					if err != nil {
						b.Fatal(err)
					}
					for i := range n {
						got += bs[i].Count()
					}
				}
			}
		})
	}
}
