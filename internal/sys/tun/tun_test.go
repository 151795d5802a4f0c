package tun

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

func TestErrorsKeepKindAndCause(t *testing.T) {
	err := fmt.Errorf("start: %w", &Error{Text: "x", Kind: ErrPermission, Cause: os.ErrPermission})
	if !errors.Is(err, ErrPermission) || !errors.Is(err, os.ErrPermission) {
		t.Fatal(err)
	}
}

func TestFake(t *testing.T) {
	f := NewFake("wg0", 1420)
	b := make([]byte, BufferSize)
	if _, ok, err := f.TryRead(b); ok || err != nil {
		t.Fatal("read from an empty interface")
	}
	f.Inject([]byte{0x45, 1, 2})
	if n, err := f.Read(b); n != HeaderSize+3 || err != nil || b[HeaderSize] != 0x45 {
		t.Fatal(n, err)
	}
	if err := f.Write([][]byte{make([]byte, HeaderSize), {0x45}, {7}}); err != nil {
		t.Fatal(err)
	}
	if raw, ok := f.Next(time.Second); !ok || len(raw) != HeaderSize+2 || raw[HeaderSize+1] != 7 {
		t.Fatal(raw, ok)
	}
	f.SetDown(true)
	if err := f.Write([][]byte{make([]byte, HeaderSize+20)}); err != ErrDown {
		t.Fatal(err)
	}
	f.Delete()
	if _, err := f.Read(b); err != ErrGone {
		t.Fatal(err)
	}
	f.Close()
	if _, err := f.Read(b); err != os.ErrClosed {
		t.Fatal(err)
	}
}

// A FakeMulti does as the kernel: flows stay where they are, and what waits in a
// queue that is detached is lost.
func TestFakeMulti(t *testing.T) {
	f := NewFakeMulti("wg0", 1420, 3)
	inject := func() {
		for flow := range byte(50) {
			packet := make([]byte, 28)
			packet[15] = flow
			if !f.Inject(packet) {
				t.Fatal("no room")
			}
		}
	}
	b := make([]byte, BufferSize)
	flows := func(q int) (list []byte) {
		for n, ok, _ := f.Queue(q).TryRead(b); ok; n, ok, _ = f.Queue(q).TryRead(b) {
			list = append(list, b[:n][HeaderSize+15])
		}
		return list
	}
	if f.SetQueues(4) == nil || f.SetQueues(3) != nil || f.Attached() != 3 {
		t.Error("SetQueues")
	}
	inject()
	before := [3]string{string(flows(0)), string(flows(1)), string(flows(2))}
	inject()
	if after := [3]string{string(flows(0)), string(flows(1)), string(flows(2))}; after != before || before[2] == "" {
		t.Errorf("%q, then %q", before, after)
	}
	inject()
	if f.SetQueues(2); f.Dropped() != len(before[2]) || len(flows(0)) != len(before[0]) {
		t.Errorf("%d dropped", f.Dropped())
	}
	if f.Concentrate(); len(flows(1)) != len(before[1]) {
		t.Error("Concentrate loses packets")
	}
	if inject(); len(flows(0)) != 50 {
		t.Error("not concentrated")
	}
}
