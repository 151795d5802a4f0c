package engine

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/capture"
	"wgd/internal/lanes"
)

// Handshakes, configuration changes and status requests need all processors; a
// little data does not.
func TestEngineProcessors(t *testing.T) {
	var all atomic.Bool
	all.Store(true)
	_, a, b := pair(t, func(w *World) { w.Lanes = lanes.Options{Processors: all.Store} })
	expect := func(want bool, why string, f func()) {
		t.Helper()
		for end := time.Now().Add(patience); all.Load() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("all processors in use: %v, want %v %s", !want, want, why)
			}
			f()
		}
	}
	talk := func() { a.deliver(b, "hello") }
	talk()
	a.sleep(2 * time.Second)
	expect(false, "with a little data", talk)
	for _, c := range []struct {
		why string
		f   func()
	}{
		{"for a change", func() { a.apply(conf.Change{}) }},
		{"for the status", func() { a.Status() }},
		{"for a handshake", func() { a.sleep(2 * time.Minute); talk() }},
	} {
		expect(true, c.why, c.f)
		a.sleep(2 * time.Second)
		expect(false, "after "+c.why, talk)
	}
}

// A capture needs all processors only if it has more than 5 MB a second: otherwise a
// capture of one peer takes throughput from the others.
func TestCaptureProcessors(t *testing.T) {
	var all atomic.Bool
	all.Store(true)
	_, a, b := pair(t, func(w *World) { w.Lanes = lanes.Options{Processors: all.Store} })
	settle := func() {
		a.sleep(2 * time.Second)
		for end := time.Now().Add(patience); all.Load(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("all processors stay in use, with a little data")
			}
			a.deliver(b, "hello")
		}
	}
	a.deliver(b, "hello")
	settle()
	write := func(bytes int) {
		if _, err := (busyWriter{a.Engine, io.Discard}).Write(make([]byte, bytes)); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		if write(200 << 10); all.Load() {
			t.Error("all processors are in use for a little capture")
		}
	}
	// A lane that has just ended a batch may still set what it has decided before.
	for end := time.Now().Add(patience); !all.Load(); write(capture.WriteBytes) {
		if time.Now().After(end) {
			t.Fatal("all processors are not in use for a large capture")
		}
	}
}
