package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
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
