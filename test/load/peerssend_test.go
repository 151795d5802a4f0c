package load

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/aead"
	"wgd/internal/packet"
	"wgd/internal/wire"
)

// newSession returns a session, and the keys with which its other end opens and seals.
func newSession(t *testing.T, index uint32) (s *peerSession, opens, seals *aead.Key) {
	t.Helper()
	var a, b [32]byte
	rand.Read(a[:])
	rand.Read(b[:])
	s, opens, seals = &peerSession{index: index}, new(aead.Key), new(aead.Key)
	s.send.Set(&a)
	opens.Set(&a)
	s.receive.Set(&b)
	seals.Set(&b)
	return s, opens, seals
}

// The messages of a peer are of its session, have a new counter each, and hold an inner
// packet of the right length, padded, that the kernel of the other end takes.
func TestSealer(t *testing.T) {
	for _, c := range []struct{ peer, size, message int }{{0, 100, 32 + 112}, {259, 1420, 32 + 1420}, {15, 28, 32 + 32}, {7, 1404, 32 + 1408}} {
		session, opens, _ := newSession(t, 77)
		s := newSealer(session, c.peer, c.size)
		if got := fmt.Sprintf("%v:%d", netip.AddrFrom4(s.outer), peerPort); got != Endpoint(c.peer) {
			t.Errorf("peer %d sends from %s, want %s", c.peer, got, Endpoint(c.peer))
		}
		last := uint64(0) // the first message of the session was an empty one
		for n := range 3 * sealAhead {
			msg := bytes.Clone(s.next())
			if kind, _ := wire.TypeOf(msg); kind != wire.TypeData || wire.DataIndex(msg) != 77 || len(msg) != c.message {
				t.Fatalf("message %d of %+v: %x", n, c, msg)
			}
			if counter := wire.DataCounter(msg); counter <= last {
				t.Fatalf("message %d of %+v has counter %d after %d", n, c, counter, last)
			} else {
				last = counter
			}
			if opens.Open(msg, []aead.Packet{{Len: int32(len(msg))}}) != 0 {
				t.Fatalf("message %d of %+v does not decrypt", n, c)
			}
			inner := msg[aead.HeaderSize : len(msg)-aead.TagSize]
			want := packet.AppendDatagram(nil, &packet.DatagramHeader{TTL: 64, From: netip.MustParseAddrPort(Inner(c.peer) + ":5001"),
				To: netip.MustParseAddrPort(InnerSink + ":5001")}, make([]byte, c.size-28))
			if length, ok := packet.Length(inner); !ok || length != c.size || !bytes.Equal(inner[:length], want) {
				t.Fatalf("message %d of %+v has the inner packet %x", n, c, inner)
			}
		}
	}
}

// A data message to a peer is opened with the key of this peer; handshake messages are
// not counted; what cannot be opened is an error.
func TestOpenSample(t *testing.T) {
	s := &sessions{list: make([]peerSession, 3)}
	session, _, seals := newSession(t, 0)
	s.list[2].receive = session.receive
	other, _, _ := newSession(t, 0)
	s.list[1].receive = other.receive
	to := func(peer uint32) []byte {
		msg := make([]byte, aead.MinSize+64)
		wire.PutDataHeader(msg, peer, 0)
		seals.Seal(msg, []aead.Packet{{Len: int32(len(msg))}}, 9)
		return msg
	}
	if data, err := s.open(to(2)); err != nil || !data {
		t.Error(data, err)
	}
	if data, err := s.open((&wire.Initiation{}).AppendTo(nil)); err != nil || data {
		t.Error(data, err)
	}
	if _, err := s.open(to(1)); err == nil || !strings.Contains(err.Error(), "peer 1 ") {
		t.Errorf("the wrong key: %v", err)
	}
	if _, err := s.open(to(3)); err == nil {
		t.Error("a session that no peer has is no error")
	}
}

// loopback returns a socket on the loopback interface, and its address.
func loopback(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// descriptor returns a descriptor of a socket, in blocking mode.
func descriptor(t *testing.T, conn *net.UDPConn) int {
	t.Helper()
	file, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return int(file.Fd())
}

// Each datagram of a burst has its own text, destination and source address.
func TestOutgoing(t *testing.T) {
	source := anywhere(t)
	fd := descriptor(t, source)
	sinks, tos := make([]*net.UDPConn, 3), make([]netip.AddrPort, 3)
	o := newOutgoing(3)
	for i := range sinks {
		sinks[i], tos[i] = loopback(t)
		o.to(i, tos[i])
		o.set(i, []byte(strings.Repeat("x", i+1)))
		o.from(i, [4]byte{127, 0, 1, byte(i)})
	}
	if n := o.send(fd); n != 3 {
		t.Fatalf("%d datagrams were sent", n)
	}
	for i, sink := range sinks {
		buf := make([]byte, 10)
		sink.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, from, err := sink.ReadFromUDPAddrPort(buf)
		if want := netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}); err != nil || n != i+1 || from.Addr() != want {
			t.Errorf("datagram %d: %d bytes from %v, %v", i, n, from, err)
		}
	}
}

// anywhere returns a socket that may send from any address of this computer.
func anywhere(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// The filter lets about one datagram in SampleOf pass, and another one none.
func TestSample(t *testing.T) {
	const sent = 100 * SampleOf // of 100 the standard deviation is 10
	for _, c := range []struct {
		program  string
		min, max int
	}{{"sample", 40, 160}, {"none", 0, 0}} {
		sink, to := loopback(t)
		sink.SetReadBuffer(1 << 20)
		program := sample
		if c.program == "none" {
			program = dropAll
		}
		raw, err := sink.SyscallConn() // which does not change the blocking mode, as File does
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { err = filter(int(fd), program) })
		if err != nil {
			t.Fatal(err)
		}
		source := anywhere(t)
		out := descriptor(t, source)
		o := newOutgoing(burst, to)
		for i := range o.list {
			o.set(i, []byte("text"))
		}
		arrived := make(chan int)
		go func() {
			n, buf := 0, make([]byte, 10)
			for sink.SetReadDeadline(time.Now().Add(time.Second)); ; n++ {
				if _, err := sink.Read(buf); err != nil {
					arrived <- n
					return
				}
			}
		}()
		for n := 0; n < sent; {
			n += o.send(out)
		}
		if n := <-arrived; n < c.min || n > c.max {
			t.Errorf("%s: %d of %d datagrams passed", c.program, n, sent)
		}
	}
}

// A burst is what is due in a millisecond.
func TestBurstFor(t *testing.T) {
	for rate, want := range map[float64]int{0: burst, 1: 1, 999: 1, 5000: 5, 60_000: 60, 1e6: burst} {
		if got := burstFor(rate); got != want {
			t.Errorf("%v a second: %d at once, want %d", rate, got, want)
		}
	}
}

// A pacer keeps its rate, catches up with a short pause, and not with a long one.
func TestPacer(t *testing.T) {
	p, begun := newPacer(10, 1000), time.Now()
	for range 5 {
		p.wait()
	}
	if took := time.Since(begun); took < 49*time.Millisecond {
		t.Errorf("50 datagrams at 1,000 a second took %v", took)
	}
	p.next = time.Now().Add(-p.interval - 3*time.Millisecond)
	due := p.next.Add(p.interval)
	if p.wait(); !p.next.Equal(due) && time.Since(due) < maxLate {
		t.Errorf("a pacer that was late by 3 ms does not catch up")
	}
	p.next = time.Now().Add(-time.Minute)
	if p.wait(); time.Since(p.next) > time.Second {
		t.Error("a pacer that was late by a minute catches up")
	}
	begun = time.Now()
	for p, n := newPacer(10, 0), 0; n < 100; n++ {
		p.wait()
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("as fast as possible takes %v", took)
	}
}

const devText = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls
    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0
   wg0: 5000000   50000    0    0    0     0          0         0        7       1    0    0    0     0       0          0
 wg01:1 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0
`

// The line of an interface is found by its whole name. Without one there is an error.
func TestReceived(t *testing.T) {
	for name, want := range map[string][]uint64{"wg0": {5000000, 50000}, "lo": {100, 2}, "wg01": {1, 2}} {
		bytes, packets, err := Received(devText, name)
		if got := []uint64{bytes, packets}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	for _, text := range []string{"", devText, "eth0:", "eth0: x 1", "eth0: 1"} {
		if _, _, err := Received(text, "eth0"); err == nil {
			t.Errorf("%q has an interface eth0", text)
		}
	}
}

func FuzzReceived(f *testing.F) {
	f.Add(devText)
	f.Add("wg0: 1 2")
	f.Add("wg0:\n\nwg0:18446744073709551616 1")
	f.Fuzz(func(t *testing.T, text string) {
		bytes, packets, err := Received(text, "wg0")
		if err != nil {
			return
		}
		if again, n, err := Received(fmt.Sprintf("wg0: %d %d\n", bytes, packets), "wg0"); err != nil || again != bytes || n != packets {
			t.Errorf("%d and %d are read as %d and %d, %v", bytes, packets, again, n, err)
		}
	})
}
