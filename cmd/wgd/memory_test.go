package main

import (
	"testing"
	"time"
)

// Large requests are cleared away once for all that come within a moment;
// small ones not at all.
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
		t.Error("a small request counts as large")
	}
	memory.handled(largeRequest/2, largeRequest/2)
	memory.handled(largeRequest, 0)
	if !due() {
		t.Error("a large request does not count")
	}
	for begun := time.Now(); due(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("never done")
		}
	}
}
