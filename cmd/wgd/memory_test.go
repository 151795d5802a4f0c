package main

import (
	"testing"
	"time"
)

// There is one trim for all large requests that arrive within a second, and
// none for small ones. Many connections are like a large request.
func TestTrimmer(t *testing.T) {
	var none *trimmer
	none.handled(largeRequest, largeRequest)
	none.connected()
	var memory trimmer
	memory.handled(largeRequest/2, largeRequest/2-1)
	due := func() bool {
		memory.mu.Lock()
		defer memory.mu.Unlock()
		return memory.timer != nil
	}
	if due() {
		t.Error("a small request scheduled a trim")
	}
	memory.handled(largeRequest/2, largeRequest/2)
	memory.handled(largeRequest, 0)
	if !due() {
		t.Error("a large request did not schedule a trim")
	}
	for begun := time.Now(); due(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("no trim within a minute")
		}
	}
	for range manyConnections - 1 {
		memory.connected()
	}
	if due() {
		t.Error("a few connections scheduled a trim")
	}
	if memory.connected(); !due() {
		t.Error("many connections did not schedule a trim")
	}
}
