package engine

import (
	"testing"
	"time"

	"wgd/internal/driver"
	"wgd/internal/wire"
)

// Messages that cause no job leave no others behind in the queue: coreLoop takes
// the rest without being woken.
func TestQueueIsEmptied(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	b.mu.Lock()
	for i := range 500 {
		response := make([]byte, wire.ResponseSize)
		response[0] = byte(wire.TypeResponse)
		b.inbox.put(driver.PutHandshake, from(i), response)
	}
	b.mu.Unlock()
	begun := time.Now()
	eventually(t, "the queue is empty", func() bool { return b.inbox.waiting() == 0 })
	if took := time.Since(begun); took > longestSleep/2 {
		t.Errorf("the queue was empty after %v, want at most %v", took, longestSleep/2)
	}
}
