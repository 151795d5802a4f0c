package netstack

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"wgd/internal/asynctest"
	"wgd/internal/packet"
)

// A dial to loopback or to no address at all is refused at once, and so is a
// datagram to it. Nothing of it reaches the tunnel.
func TestAddressesOfThisHostAreRefused(t *testing.T) {
	a, _ := pair(t)
	defer a.Close()
	for _, to := range []string{"127.0.0.1:80", "[::1]:80", "0.0.0.0:80", "[::]:80", "[::ffff:127.0.0.1]:80"} {
		for _, network := range []string{"tcp", "udp"} {
			if conn, err := a.Dial(network, to); err == nil || !strings.Contains(err.Error(), "means this host") {
				t.Errorf("dial %s %s: %v, %v", network, to, conn, err)
			}
		}
	}
	conn, err := a.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}); err == nil {
		t.Error("a datagram to 127.0.0.1: no error")
	}
}

// A datagram to the other family, or to something that is not a UDP address, is an
// error, and is not sent to the first four bytes of the address. An IPv4 address in
// 16 bytes is an IPv4 address.
func TestWriteToOfTheOtherFamily(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	for _, c := range []struct {
		at    string
		to    net.Addr
		works bool
	}{
		{":53", &net.UDPAddr{IP: net.ParseIP("fd00:2::42"), Port: 7}, false},
		{"[::]:53", &net.UDPAddr{IP: net.ParseIP("10.2.0.42"), Port: 7}, false},
		{":53", &net.TCPAddr{IP: net.ParseIP("10.2.0.42"), Port: 7}, false},
		{":53", (*net.UDPAddr)(nil), false},
		{":53", nil, false},
		{":53", &net.UDPAddr{}, false},
		{":53", &net.UDPAddr{IP: net.ParseIP("10.2.0.42"), Port: 7}, true}, // 16 bytes
		{":53", &net.UDPAddr{IP: net.ParseIP("10.2.0.42").To4(), Port: 7}, true},
		{"[::]:53", &net.UDPAddr{IP: net.ParseIP("fd00:2::42"), Port: 7}, true},
	} {
		conn, err := a.ListenPacket("udp", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.WriteTo([]byte("x"), c.to); (err == nil) != c.works {
			t.Errorf("from %s to %v: %v, want success: %v", c.at, c.to, err, c.works)
		}
		conn.Close()
	}
}

// A port can be used again at once after its listener was closed, although
// connections of it were open. While a listener is open, it cannot.
func TestListenAgain(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	for i := range 3 {
		listener, err := b.Listen("tcp", "10.2.0.42:80")
		if err != nil {
			t.Fatalf("listen %d: %v", i, err)
		}
		if second, err := b.Listen("tcp", "10.2.0.42:80"); err == nil {
			second.Close()
			t.Error("two listeners at one port")
		}
		conn, err := a.Dial("tcp", "10.2.0.42:80")
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted.Close() // this side closes first, and keeps the port in TIME-WAIT
		io.ReadAll(conn)
		conn.Close()
		listener.Close()
	}
}

// [::] is for IPv6 only, so both families can have the same port.
func TestBothFamiliesHaveAPort(t *testing.T) {
	_, b := pair(t)
	defer b.Close()
	for _, at := range []string{":80", "[::]:80"} {
		if _, err := b.Listen("tcp", at); err != nil {
			t.Errorf("listen at %s: %v", at, err)
		}
		if _, err := b.ListenPacket("udp", at); err != nil {
			t.Errorf("socket at %s: %v", at, err)
		}
	}
}

// After a reset, and after Close, a connection still knows its addresses. What is
// called after Close, or waits meanwhile, returns net.ErrClosed.
func TestAfterResetAndClose(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	listener, err := b.Listen("tcp", "10.2.0.42:80")
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
	conn.Write([]byte("not read"))
	asynctest.Eventually(t, "the data arrives", func() bool {
		accepted.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := accepted.Read(make([]byte, 1))
		return err == nil
	})
	accepted.Close() // with unread data: it resets the connection
	asynctest.Eventually(t, "the reset arrives", func() bool {
		_, err := conn.Write([]byte("x"))
		return err != nil
	})
	if got := conn.RemoteAddr(); got == nil || got.String() != "10.2.0.42:80" {
		t.Errorf("after a reset RemoteAddr is %v", got)
	}
	if conn.LocalAddr() == nil || accepted.RemoteAddr().String() != conn.LocalAddr().String() {
		t.Errorf("the addresses are %v and %v", conn.LocalAddr(), accepted.RemoteAddr())
	}

	packets, err := a.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 2)
	go func() { _, err := listener.Accept(); waiting <- err }()
	go func() { _, _, err := packets.ReadFrom(make([]byte, 1)); waiting <- err }()
	time.Sleep(10 * time.Millisecond) // usually they wait then; otherwise they must return the same
	for _, c := range []io.Closer{conn, listener, packets} {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the second Close: %v", err)
		}
	}
	_, read := conn.Read(make([]byte, 1))
	_, write := conn.Write([]byte("x"))
	_, accept := listener.Accept()
	_, _, readFrom := packets.ReadFrom(make([]byte, 1))
	_, writeTo := packets.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(10, 2, 0, 42), Port: 1})
	for i, err := range []error{read, write, accept, readFrom, writeTo, <-waiting, <-waiting} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("operation %d: got %v, want net.ErrClosed", i, err)
		}
	}
	if listener.Addr().String() != "10.2.0.42:80" {
		t.Errorf("Addr after Close: %v", listener.Addr())
	}
}

// A Read of a UDP connection ends when the other side has no such port: a lookup at
// a host that is no name server must not wait for its timeout.
func TestClosedUDPPortEndsRead(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	for _, to := range []string{"10.2.0.42:53", "[fd00:2::42]:53"} {
		conn, err := a.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		asynctest.Within(t, asynctest.Timeout, "a Read from a closed port", func() {
			done := make(chan error)
			go func() { _, err := conn.Read(make([]byte, 1)); done <- err }()
			time.Sleep(10 * time.Millisecond) // so that Read usually waits
			conn.Write([]byte("x"))
			if err := <-done; err == nil || !strings.Contains(err.Error(), "refused") {
				t.Errorf("%s: %v", to, err)
			}
		})
		conn.Close()
	}
}

// The stack fragments a long datagram without DF, and with an ID: fragments of
// different datagrams must not be mixed up after one was lost.
func TestFragmentsHaveAnID(t *testing.T) {
	a, _ := pair(t)
	defer a.Close()
	dialed, err := a.Dial("udp", "10.2.0.42:7")
	if err != nil {
		t.Fatal(err)
	}
	bound, err := a.ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		dialed.Write(make([]byte, 4000))
		bound.WriteTo(make([]byte, 4000), &net.UDPAddr{IP: net.IPv4(10, 2, 0, 42), Port: 7})
	}
	ids := map[uint16]int{}
	buf := make([]byte, packet.VirtioHeaderSize+65535)
	for range 12 {
		if _, err := a.Read(buf); err != nil {
			t.Fatal(err)
		}
		ip := buf[packet.VirtioHeaderSize:]
		ids[binary.BigEndian.Uint16(ip[4:])]++
		if ip[6]&0x40 != 0 {
			t.Error("a fragment has DF")
		}
	}
	if len(ids) != 4 || ids[0] != 0 {
		t.Errorf("the fragments of 4 datagrams have the IDs %v", ids)
	}
}
