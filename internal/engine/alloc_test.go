//go:build !race

package engine

import (
	"testing"

	"wgd/internal/batch"
	"wgd/internal/sys/udp"
)

// Rule 10 of style: what a lane with a queue of its own calls for each batch,
// to tell flows apart and to send, allocates nothing.
func TestQueueAllocatesNothing(t *testing.T) {
	var e Engine
	e.sockets.set(&udp.Pair{})
	s := e.newSender()
	train := &batch.Batch{}
	frame := make([]byte, 64)
	if n := testing.AllocsPerRun(1000, func() {
		for range 64 {
			packetHash(frame)
			s.Send(train)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
