package netstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"wgd/internal/packet"
)

// connect forwards packets between two stacks like a tunnel. It counts the
// super-packets that a sends.
func connect(t *testing.T, a, b *Stack) (superPackets *atomic.Int32) {
	t.Helper()
	superPackets = new(atomic.Int32)
	forward := func(from, to *Stack, count bool) {
		buf := make([]byte, packet.VirtioHeaderSize+65535)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			var h packet.VirtioHeader
			h.Decode(buf)
			if count && h.GSOType != packet.GSONone {
				superPackets.Add(1)
			}
			// In pieces, like the data plane.
			at := min(n, packet.VirtioHeaderSize+100)
			to.Write([][]byte{buf[:at], buf[at:n]})
		}
	}
	done := make(chan struct{}, 2)
	go func() { forward(a, b, true); done <- struct{}{} }()
	go func() { forward(b, a, false); done <- struct{}{} }()
	t.Cleanup(func() {
		a.Close()
		b.Close()
		<-done
		<-done
	})
	return superPackets
}

func pair(t *testing.T) (a, b *Stack) {
	t.Helper()
	newStack := func(v4, v6 string) *Stack {
		s, err := New(Options{Addresses: []netip.Prefix{netip.MustParsePrefix(v4), netip.MustParsePrefix(v6)}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return newStack("10.2.0.1/24", "fd00:2::1/64"), newStack("10.2.0.42/24", "fd00:2::42/64")
}

// listen listens on port 80 of b, to which dial connects.
func listen(t *testing.T, b *Stack) net.Listener {
	t.Helper()
	l, err := b.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, a *Stack) net.Conn {
	t.Helper()
	conn, err := a.Dial("tcp", "10.2.0.42:80")
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// zeros is a reader that never ends.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestPingBothFamilies(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, to := range []string{"10.2.0.42", "fd00:2::42"} {
		if took, err := a.Ping(ctx, netip.MustParseAddr(to)); err != nil || took <= 0 {
			t.Errorf("ping %s: %v, %v", to, took, err)
		}
	}
}

func TestPingWithoutAnswerEndsWithTheContext(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.Ping(ctx, netip.MustParseAddr("10.2.0.99")); err == nil {
		t.Error("a ping to 10.2.0.99, which no stack has, got a reply")
	}
}

func TestTCPInSuperPackets(t *testing.T) {
	for _, address := range []string{"10.2.0.42:80", "[fd00:2::42]:80"} {
		a, b := pair(t)
		joined := connect(t, a, b)
		listener, err := b.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		sent := make([]byte, 4<<20)
		rand.Read(sent)
		got := make(chan []byte, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				got <- nil
				return
			}
			all, _ := io.ReadAll(conn)
			got <- all
		}()
		conn, err := a.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if !bytes.Equal(<-got, sent) {
			t.Errorf("%s: the received data is not the data that was sent", address)
		}
		if joined.Load() == 0 {
			t.Errorf("%s: the stack sent no super-packet", address)
		}
	}
}

func TestUDP(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	server, err := b.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	client, err := a.Dial("udp", "10.2.0.42:53")
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 512, 1392, 1393, 4000} {
		payload := bytes.Repeat([]byte{byte(size)}, size)
		if _, err := client.Write(payload); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 65535)
		server.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _, err := server.ReadFrom(buf)
		if err != nil || !bytes.Equal(buf[:n], payload) {
			t.Errorf("datagram of %d bytes: got %d bytes, %v", size, n, err)
		}
	}
}

func TestBadArguments(t *testing.T) {
	a, _ := pair(t)
	defer a.Close()
	for _, c := range [][2]string{{"tcp", "example.org:80"}, {"tcp4", "[fd00::1]:80"}, {"tcp6", "10.0.0.1:80"}, {"ip", "10.0.0.1:80"}, {"tcp", "10.0.0.1"}} {
		if conn, err := a.Dial(c[0], c[1]); err == nil {
			conn.Close()
			t.Errorf("dial %s %s: no error", c[0], c[1])
		}
	}
	if _, err := New(Options{MTU: 100}); err == nil {
		t.Error("New accepts an MTU of 100")
	}
	for _, bad := range []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.2.0.1/128")} {
		if _, err := New(Options{Addresses: []netip.Prefix{bad}}); err == nil {
			t.Errorf("New accepts the address %v", bad)
		}
	}
}

// A49, B2: a packet with an IPv4-mapped address is dropped: its sender could
// pretend to have the IPv4 address, which may belong to another peer.
func TestMappedAddressesAreDropped(t *testing.T) {
	a, _ := pair(t)
	defer a.Close()
	conn, err := a.ListenPacket("udp6", "[::]:7")
	if err != nil {
		t.Fatal(err)
	}
	datagram := func(from, to string) [][]byte {
		const size = 56
		b := make([]byte, packet.VirtioHeaderSize+size)
		p := b[packet.VirtioHeaderSize:]
		p[0], p[5], p[6], p[7] = 0x60, size-40, 17, 64
		src, dst := netip.MustParseAddr(from).As16(), netip.MustParseAddr(to).As16()
		copy(p[8:], src[:])
		copy(p[24:], dst[:])
		p[41], p[43], p[45] = 9, 7, size-40
		sum := header.PseudoHeaderChecksum(17, tcpip.AddrFrom16(src), tcpip.AddrFrom16(dst), size-40)
		checksum.Put(p[46:], ^checksum.Checksum(p[40:], sum))
		return [][]byte{b}
	}
	buf := make([]byte, 100)
	for _, c := range []struct {
		from, to string
		arrives  bool
	}{
		{"::ffff:10.9.9.9", "fd00:2::1", false}, {"fd00::9", "::ffff:10.2.0.1", false}, {"fd00::9", "fd00:2::1", true},
	} {
		if err := a.Write(datagram(c.from, c.to)); err != nil {
			t.Fatal(err)
		}
		// Write delivers before it returns, so the deadline expires only if there is
		// no datagram.
		conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, from, err := conn.ReadFrom(buf); (err == nil) != c.arrives {
			t.Errorf("datagram from %s to %s: received from %v, %v, want arrival: %v", c.from, c.to, from, err, c.arrives)
		}
	}
}
