package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"wgd/internal/asynctest"
	"wgd/internal/batch"
	"wgd/internal/sys/errno"
	"wgd/internal/wire"
)

func portablePair(t testing.TB, port uint16, o Options) *Pair {
	t.Helper()
	p, err := ListenPortable(port, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// Trains of both families arrive whole and in order. What was received has no source and
// no ECN, so an answer leaves from the address that the system chooses.
func TestPortableTrains(t *testing.T) {
	a, b := portablePair(t, 0, Options{}), portablePair(t, 0, Options{})
	for _, host := range []string{"127.0.0.1", "::1"} {
		group := b.V6
		if host == "127.0.0.1" {
			group = b.V4
		}
		if group == nil {
			t.Logf("left out: %s: this host lacks the family", host)
			continue
		}
		to := wire.NewEndpoint(netip.AddrPortFrom(netip.MustParseAddr(host), b.Port()), netip.Addr{}, 0)
		train := batch.Batch{Data: datagrams(0, 40, 1000, 10), Stride: 1000, Remote: to, ECN: 1, TOS: 0x88, TTL: 9}
		if err := a.NewSender().Send(&train); err != nil {
			t.Fatal(err)
		}
		r, bs, next := group.Socket(0).NewReceiver(), make([]batch.Batch, 3), 0
		for next < train.Count() {
			n, err := r.Recv(bs)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range bs[:n] {
				if from := got.Remote; from.Remote != netip.AddrPortFrom(to.Remote.Addr(), a.Port()) || from.Source.IsValid() || got.ECN != 0 {
					t.Fatalf("from %+v with ECN %d", from, got.ECN)
				}
				for i := range got.Count() {
					if !bytes.Equal(got.At(i), train.At(next)) {
						t.Fatalf("datagram %d of %d bytes begins with %x", next, len(got.At(i)), binary.BigEndian.Uint16(got.At(i)))
					}
					next++
				}
			}
		}
		answer := batch.Batch{Data: []byte{1, 2}, Stride: 2, Remote: bs[0].Remote}
		answer.Remote.Source, answer.Remote.SourceIndex = netip.MustParseAddr("192.0.2.77"), 5 // not ours: ignored
		if err := b.NewSender().Send(&answer); err != nil {
			t.Errorf("an answer: %v", err)
		}
	}
}

// Both families have the same port, which is taken afterwards; and the longest datagrams
// pass.
func TestPortablePorts(t *testing.T) { // A53
	p := portablePair(t, 0, Options{})
	if p.Port() == 0 || p.V4 == nil {
		t.Fatalf("port %d, %+v", p.Port(), p)
	}
	for _, g := range p.Groups() {
		c := g.(*connGroup).conn.(*udpConn)
		if got := c.LocalAddr().(*net.UDPAddr).Port; got != int(p.Port()) {
			t.Errorf("%v is on port %d, want %d", c.LocalAddr(), got, p.Port())
		}
	}
	var taken *PortTaken
	if _, err := ListenPortable(p.Port(), Options{}); !errors.As(err, &taken) || taken.Port != p.Port() {
		t.Errorf("got %v, want PortTaken", err)
	}
	var refused *MarkRefused
	if _, err := ListenPortable(0, Options{Mark: 7}); !errors.As(err, &refused) {
		t.Errorf("got %v, want MarkRefused", err)
	}
	port := p.Port()
	p.Close()
	portablePair(t, port, Options{}) // the port is free again
}

// With port 0, a port that another program has for one family is skipped.
func TestPortableSkipsHalfTaken(t *testing.T) { // A53
	first := true
	p, err := listenPortable(0, Options{}, func(network string, port uint16) (*net.UDPConn, error) {
		if network == "udp6" && first {
			first = false
			return nil, os.NewSyscallError("bind", syscall.EADDRINUSE)
		}
		return listenUDP(network, port)
	})
	if err != nil || first {
		t.Fatal(err)
	}
	p.Close()
}

// A host that lacks a family has the other one alone.
func TestPortableWithoutAFamily(t *testing.T) { // B21
	for _, lacks := range []string{"udp4", "udp6"} {
		p, err := listenPortable(0, Options{}, func(network string, port uint16) (*net.UDPConn, error) {
			if network == lacks {
				return nil, os.NewSyscallError("socket", syscall.EAFNOSUPPORT)
			}
			return listenUDP(network, port)
		})
		if errno.NoFamily(err) || errors.Is(err, ErrNoFamily) {
			t.Logf("left out: a host without %s: %v", lacks, err)
			continue
		}
		if err != nil || len(p.Groups()) != 1 || (p.V4 == nil) != (lacks == "udp4") {
			t.Fatalf("without %s: %+v, %v", lacks, p, err)
		}
		for _, to := range []string{"127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"} {
			e := wire.Endpoint{Remote: netip.MustParseAddrPort(to)}
			want := error(nil)
			if is4(e.Remote.Addr()) == (lacks == "udp4") {
				want = ErrNoFamily
			}
			err := p.NewSender().Send(&batch.Batch{Data: []byte{1}, Stride: 1, Remote: e})
			if (want != nil) != (err == ErrNoFamily) {
				t.Errorf("without %s, to %s: %v", lacks, to, err)
			}
		}
		p.Close()
	}
	if _, err := ListenPortable(0, Options{NoIPv4: true, NoIPv6: true}); err != ErrNoFamily {
		t.Errorf("got %v, want %v", err, ErrNoFamily)
	}
}

// Close ends calls that wait, and leaves no goroutine and no descriptor.
func TestPortableClose(t *testing.T) { // B55, B59
	noLeaks := asynctest.CheckLeaks(t)
	p := portablePair(t, 0, Options{})
	results := make(chan error, 2*len(p.Groups()))
	for _, g := range p.Groups() {
		go func() {
			_, err := g.Socket(0).NewReceiver().Recv(make([]batch.Batch, 1))
			results <- err
		}()
		go func() { results <- g.Socket(0).Wait() }()
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for range cap(results) {
		if err := <-results; err != os.ErrClosed {
			t.Errorf("got %v, want %v", err, os.ErrClosed)
		}
	}
	to := wire.Endpoint{Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 9)}
	if err := p.NewSender().Send(&batch.Batch{Data: []byte{1}, Stride: 1, Remote: to}); err != os.ErrClosed {
		t.Errorf("Send: got %v, want %v", err, os.ErrClosed)
	}
	noLeaks()
}

// A datagram that is too long is an error of Send, and of that datagram only. A port
// where nobody listens does not stop the receiver.
func TestPortableErrors(t *testing.T) {
	a, b := portablePair(t, 0, Options{NoIPv6: true}), portablePair(t, 0, Options{NoIPv6: true})
	send := func(data []byte, port uint16) error {
		to := wire.Endpoint{Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
		return a.NewSender().Send(&batch.Batch{Data: data, Stride: len(data), Remote: to})
	}
	if err := send(make([]byte, batch.MaxDatagram4+1), b.Port()); err == nil || batch.Sent(err) {
		t.Errorf("a datagram that is too long: %v", err)
	}
	closed := portablePair(t, 0, Options{NoIPv6: true})
	closed.Close()
	for range 3 {
		send([]byte{1}, closed.Port()) // ICMP reports that nobody listens
	}
	for _, length := range []int{0, 1, batch.MaxDatagram4} {
		if err := send(make([]byte, length), b.Port()); err != nil {
			t.Fatal(err)
		}
		bs := make([]batch.Batch, 1)
		if n, err := b.V4.Socket(0).NewReceiver().Recv(bs); n != 1 || err != nil || len(bs[0].Data) != length {
			t.Errorf("received %d, %v: %d bytes, want %d", n, err, len(bs[0].Data), length)
		}
	}
	answer := batch.Batch{Data: []byte{3}, Stride: 1, Remote: wire.Endpoint{Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.Port())}}
	if err := b.NewSender().Send(&answer); err != nil {
		t.Fatal(err)
	}
	bs := make([]batch.Batch, 1)
	if n, err := a.V4.Socket(0).NewReceiver().Recv(bs); n != 1 || err != nil || len(bs[0].Data) != 1 {
		t.Errorf("after the reports: %d, %v", n, err)
	}
}
