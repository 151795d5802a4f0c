package netstack

import (
	"io"
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
