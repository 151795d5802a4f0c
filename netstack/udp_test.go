package netstack

import (
	"net"
	"strings"
	"testing"
	"time"

	"wgd/internal/packet"
)

// frameOf returns the frame of a datagram that a stack without a tunnel sends.
func frameOf(t *testing.T, s *Stack, from net.PacketConn, to net.Addr, content string) [][]byte {
	t.Helper()
	if _, err := from.WriteTo([]byte(content), to); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, packet.VirtioHeaderSize+defaultMTU)
	n, err := s.Read(frame)
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{frame[:n]}
}

// udpSockets returns, for each family, a bound and a connected socket of b, and a
// socket of a with which the connected one is connected.
func udpSockets(t *testing.T, a, b *Stack) (sockets []net.PacketConn, from []net.PacketConn) {
	t.Helper()
	for _, host := range []string{"10.2.0.1", "fd00:2::1"} {
		unspecified := map[string]string{"10.2.0.1": ":7", "fd00:2::1": "[::]:7"}[host]
		sender, err := a.ListenPacket("udp", unspecified)
		if err != nil {
			t.Fatal(err)
		}
		bound, err := b.ListenPacket("udp", unspecified)
		if err != nil {
			t.Fatal(err)
		}
		connected, err := b.Dial("udp", net.JoinHostPort(host, "7"))
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, bound, connected.(net.PacketConn))
		from = append(from, sender, sender)
	}
	return sockets, from
}

// address returns the address at which a socket of b receives.
func address(s net.PacketConn) *net.UDPAddr {
	local := *s.LocalAddr().(*net.UDPAddr)
	if len(local.IP) == 0 || local.IP.IsUnspecified() {
		local.IP = net.ParseIP("10.2.0.42")
		if !s.(*udpConn).is4 {
			local.IP = net.ParseIP("fd00:2::42")
		}
	}
	return &local
}

// drain returns how many datagrams wait in a full socket of b. As soon as the first
// one is read, it sends the last one, for which there is room then.
func drain(t *testing.T, b *Stack, s net.PacketConn, last [][]byte) (n int) {
	t.Helper()
	s.SetReadDeadline(time.Now().Add(time.Minute))
	for buf := make([]byte, 2); buf[0] != 'L'; n++ {
		if _, _, err := s.ReadFrom(buf); err != nil {
			t.Fatalf("socket %v, after %d datagrams: %v", s.LocalAddr(), n, err)
		}
		if n == 0 {
			b.Write(last)
		}
	}
	return n - 1
}

// A socket that nobody reads keeps a limited number of datagrams, empty ones too.
// When it is read, it receives again. A datagram that is lost because the reader's
// buffer has no room has left the socket as well.
func TestUnreadDatagramsAreLimited(t *testing.T) {
	a, b := pair(t)
	defer a.Close()
	defer b.Close()
	sockets, from := udpSockets(t, a, b)
	for i, s := range sockets {
		last := frameOf(t, a, from[i], address(s), "L")
		for _, content := range []string{"", "x", "x"} {
			frame := frameOf(t, a, from[i], address(s), content)
			for range 3 * maxDatagrams {
				b.Write(frame)
			}
			if got := drain(t, b, s, last); got != maxDatagrams {
				t.Errorf("socket %v: %d datagrams %q waited, want %d", s.LocalAddr(), got, content, maxDatagrams)
			}
			for range maxDatagrams / 2 {
				b.Write(frame)
				s.ReadFrom(nil)
			}
		}
	}
}

// A socket whose reader keeps pace loses nothing, however many datagrams come. Large
// ones are limited by their bytes, and those that are refused are not counted.
func TestReadDatagramsAreNotLimited(t *testing.T) {
	a, b := pair(t)
	defer a.Close()
	defer b.Close()
	sockets, from := udpSockets(t, a, b)
	for i, s := range sockets {
		last := frameOf(t, a, from[i], address(s), "L")
		frame := frameOf(t, a, from[i], address(s), "x")
		s.SetReadDeadline(time.Now().Add(time.Minute))
		for n := range 3 * maxDatagrams {
			b.Write(frame)
			if _, _, err := s.ReadFrom(make([]byte, 1)); err != nil {
				t.Fatalf("socket %v, datagram %d: %v", s.LocalAddr(), n, err)
			}
		}
		large := frameOf(t, a, from[i], address(s), strings.Repeat("x", 1300))
		for range 2 * maxDatagrams {
			b.Write(large)
		}
		if got := drain(t, b, s, last); got < 100 || got > 200 {
			t.Errorf("socket %v: %d large datagrams waited", s.LocalAddr(), got)
		}
		for range 2 * maxDatagrams {
			b.Write(frame)
		}
		if got := drain(t, b, s, last); got != maxDatagrams {
			t.Errorf("socket %v: %d datagrams waited after large ones, want %d", s.LocalAddr(), got, maxDatagrams)
		}
	}
}

// A closed socket receives nothing: its port is closed, and can be opened again.
func TestClosedUDPSocketLeavesItsPort(t *testing.T) {
	a, b := pair(t)
	defer a.Close()
	defer b.Close()
	from, err := a.ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	to := &net.UDPAddr{IP: net.IPv4(10, 2, 0, 42), Port: 7}
	frame := frameOf(t, a, from, to, "x")
	for range 3 {
		s, err := b.ListenPacket("udp", ":7")
		if err != nil {
			t.Fatal(err)
		}
		b.Write(frame)
		if _, _, err := s.ReadFrom(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		b.Write(frame)
		reply := make([]byte, packet.VirtioHeaderSize+defaultMTU)
		if _, ok, err := b.TryRead(reply); !ok || err != nil || reply[packet.VirtioHeaderSize+9] != 1 {
			t.Errorf("a datagram to a closed socket: reply %v, %v, want an ICMP error", ok, err)
		}
	}
}
