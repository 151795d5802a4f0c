package tuntest

import (
	"os"
	"testing"
	"time"

	"wgd/internal/sys/tun"
)

func TestDevice(t *testing.T) {
	d := New("wg0", 1420)
	b := make([]byte, tun.BufferSize)
	if _, ok, err := d.TryRead(b); ok || err != nil {
		t.Fatal("TryRead returned a packet of an empty interface")
	}
	d.Inject([]byte{0x45, 1, 2})
	if n, err := d.Read(b); n != tun.HeaderSize+3 || err != nil || b[tun.HeaderSize] != 0x45 {
		t.Fatal(n, err)
	}
	if err := d.Write([][]byte{make([]byte, tun.HeaderSize), {0x45}, {7}}); err != nil {
		t.Fatal(err)
	}
	if raw, ok := d.Next(time.Second); !ok || len(raw) != tun.HeaderSize+2 || raw[tun.HeaderSize+1] != 7 {
		t.Fatal(raw, ok)
	}
	d.SetDown(true)
	if err := d.Write([][]byte{make([]byte, tun.HeaderSize+20)}); err != tun.ErrDown {
		t.Fatal(err)
	}
	d.Delete()
	if _, err := d.Read(b); err != tun.ErrGone {
		t.Fatal(err)
	}
	d.Close()
	if _, err := d.Read(b); err != os.ErrClosed {
		t.Fatal(err)
	}
}

// A Device with several queues behaves like the kernel: flows stay in their queues, and
// packets that wait in a queue that is detached are lost.
func TestQueues(t *testing.T) {
	d := NewQueues("wg0", 1420, 3)
	inject := func() {
		for flow := range byte(50) {
			packet := make([]byte, 28)
			packet[15] = flow
			if !d.Inject(packet) {
				t.Fatal("Inject found no room")
			}
		}
	}
	b := make([]byte, tun.BufferSize)
	flows := func(q int) (list []byte) {
		for n, ok, _ := d.Queue(q).TryRead(b); ok; n, ok, _ = d.Queue(q).TryRead(b) {
			list = append(list, b[:n][tun.HeaderSize+15])
		}
		return list
	}
	if d.SetQueues(4) == nil || d.SetQueues(3) != nil || d.Attached() != 3 {
		t.Error("SetQueues accepted 4 of 3 queues, or did not attach 3")
	}
	inject()
	before := [3]string{string(flows(0)), string(flows(1)), string(flows(2))}
	inject()
	if after := [3]string{string(flows(0)), string(flows(1)), string(flows(2))}; after != before || before[2] == "" {
		t.Errorf("flows moved from %q to %q, or a queue has none", before, after)
	}
	inject()
	if d.SetQueues(2); d.Dropped() != len(before[2]) || len(flows(0)) != len(before[0]) {
		t.Errorf("%d packets dropped, want %d", d.Dropped(), len(before[2]))
	}
	if d.SteerToFirst(); len(flows(1)) != len(before[1]) {
		t.Error("SteerToFirst lost packets")
	}
	if inject(); len(flows(0)) != 50 {
		t.Error("packets were not steered to the first queue")
	}
}
