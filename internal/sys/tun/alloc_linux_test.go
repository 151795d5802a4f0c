//go:build !race

package tun

import (
	"errors"
	"net"
	"testing"
)

func TestReadAndWriteDoNotAllocate(t *testing.T) { // rule 10 of style
	ownNetwork(t)
	d := create(t, "wgtest", Options{})
	up(t, "wgtest", 1420, "10.9.0.1/24")
	c, err := net.Dial("udp4", "10.9.0.2:9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	payload, buf := make([]byte, 100), make([]byte, BufferSize)
	w := d.NewWriter()
	pieces, frames := [][]byte{make([]byte, HeaderSize), ipv4UDP(7777, payload)}, words(ringWorthwhile)
	allocs := testing.AllocsPerRun(200, func() {
		if _, err := c.Write(payload); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read(buf); err != nil {
			t.Fatal(err)
		}
		for ok := true; ok; {
			_, ok, err = d.TryRead(buf)
		}
		if err := errors.Join(d.Write(pieces), w.Write(pieces)); err != nil {
			t.Fatal(err)
		}
		if w.(*writer).WriteEach(frames) != 0 {
			t.Fatal("frames are lost")
		}
	})
	if allocs != 0 {
		t.Fatalf("%v allocations, want 0", allocs)
	}
}
