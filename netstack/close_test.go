package netstack

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"wgd/internal/packet"
)

// B59: after a stack was closed with open connections, no goroutine is left, and
// it may be closed again.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 10 {
		a, b := pair(t)
		joined := make(chan struct{}, 2)
		for _, c := range [][2]*Stack{{a, b}, {b, a}} {
			go func() {
				defer func() { joined <- struct{}{} }()
				buf := make([]byte, packet.VirtioHeaderSize+65535)
				for {
					n, err := c[0].Read(buf)
					if err != nil {
						return
					}
					c[1].Write([][]byte{buf[:n]})
				}
			}()
		}
		listener, err := b.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if conn, err := listener.Accept(); err == nil {
				io.Copy(io.Discard, conn)
			}
		}()
		conn, err := a.Dial("tcp", "10.2.0.42:80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for block := make([]byte, 64<<10); err == nil; _, err = conn.Write(block) {
			}
		}()
		time.Sleep(5 * time.Millisecond)
		a.Close()
		b.Close()
		a.Close()
		<-joined
		<-joined
	}
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// After Close every call returns.
func TestAfterClose(t *testing.T) {
	a, _ := pair(t)
	a.Close()
	if _, err := a.Read(make([]byte, 100)); err == nil {
		t.Error("Read: no error")
	}
	if _, _, err := a.TryRead(make([]byte, 100)); err == nil {
		t.Error("TryRead: no error")
	}
	if err := a.Write([][]byte{make([]byte, 40)}); err == nil {
		t.Error("Write: no error")
	}
	if _, err := a.Dial("udp", "10.2.0.42:1"); err == nil {
		t.Error("Dial: no error")
	}
	if got := a.Name(); got != "netstack" {
		t.Errorf("Name: got %q, want netstack", got)
	}
	if mtu, err := a.MTU(); mtu != 1420 || err != nil {
		t.Errorf("MTU: got %d, %v, want 1420", mtu, err)
	}
}

// Write refuses data that is not a packet. It also refuses a UDP super-packet,
// which the stack would take for one datagram.
func TestWriteRefuses(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	joined := make([]byte, 100)
	joined[1] = packet.GSOUDPL4
	for _, pieces := range [][][]byte{nil, {{}}, {make([]byte, 9)}, {joined}} {
		if err := a.Write(pieces); err == nil {
			t.Errorf("Write accepted %d pieces", len(pieces))
		}
	}
	for n := range 60 { // B1: no length and no wrong header causes a panic
		frame := make([]byte, packet.VirtioHeaderSize+n)
		a.Write([][]byte{frame})
		h := packet.VirtioHeader{Flags: packet.NeedsChecksum, ChecksumStart: uint16(n), ChecksumOffset: 6}
		h.Encode(frame)
		a.Write([][]byte{frame})
		if n > 0 {
			frame[packet.VirtioHeaderSize] = 0x60
			a.Write([][]byte{frame})
		}
	}
}

// When the stack is closed, everything that waits returns net.ErrClosed, and so does
// every later call.
func TestCloseIsTheErrorOfEveryCall(t *testing.T) {
	a, b := pair(t)
	connect(t, a, b)
	l := listen(t, b)
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- conn
	}()
	stream := dial(t, a)
	<-accepted
	packets, err := a.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	connected, err := a.Dial("udp", "10.2.0.42:53")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := a.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	buf := func() []byte { return make([]byte, 1500) }
	waits := map[string]func() error{
		"Accept":      func() error { _, err := listener.Accept(); return err },
		"Read":        func() error { _, err := stream.Read(buf()); return err },
		"ReadFrom":    func() error { _, _, err := packets.ReadFrom(buf()); return err },
		"Read of UDP": func() error { _, err := connected.Read(buf()); return err },
		"Dial":        func() error { _, err := a.DialContext(ctx, "tcp", "10.99.0.1:80"); return err },
		"Ping":        func() error { _, err := a.Ping(ctx, netip.MustParseAddr("10.99.0.1")); return err },
	}
	type result struct {
		name string
		err  error
	}
	results := make(chan result, len(waits))
	for name, call := range waits {
		go func() { results <- result{name, call()} }()
	}
	time.Sleep(50 * time.Millisecond) // they wait; if one does not yet, it returns the same
	a.Close()
	for range waits {
		if r := <-results; !errors.Is(r.err, net.ErrClosed) {
			t.Errorf("%s was waiting: %v, want net.ErrClosed", r.name, r.err)
		}
	}
	waits["Write"] = func() error { _, err := stream.Write([]byte{1}); return err }
	waits["WriteTo"] = func() error {
		_, err := packets.WriteTo([]byte{1}, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.2.0.42:53")))
		return err
	}
	waits["Write of UDP"] = func() error { _, err := connected.Write([]byte{1}); return err }
	waits["Dial UDP"] = func() error { _, err := a.Dial("udp", "10.2.0.42:53"); return err }
	waits["Listen"] = func() error { _, err := a.Listen("tcp", ":81"); return err }
	waits["ListenPacket"] = func() error { _, err := a.ListenPacket("udp", ":54"); return err }
	for name, call := range waits {
		if err := call(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s afterwards: %v, want net.ErrClosed", name, err)
		}
	}
}
