package main

import (
	"testing"
	"time"
)

// There is one trim for all large requests that arrive within a second, and
// none for small ones.
func TestTrimmer(t *testing.T) {
	var none *trimmer
	none.handled(largeRequest, largeRequest)
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
}
