//go:build !race

package engine

import (
	"testing"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/dataplane"
	"wgd/internal/sys/udp"
)

// Rule 10 of style: packetHash and Send, which a lane with its own queue calls for
// each batch, allocate nothing.
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

// A flood of initiations that are answered by cookie replies allocates nothing.
func TestFloodAllocatesNothing(t *testing.T) {
	_, _, b := pair(t)
	force := true
	b.apply(conf.Change{Tunables: conf.TunablesChange{ForceUnderload: &force}})
	private, _ := newKey(t)
	msg := initiation(t, private, b.public)
	old := b.sockets.set(&udp.Pair{}) // every reply is counted as not sent
	defer b.sockets.set(old)
	a := b.newAdmitter()
	before := b.drops.Count(dataplane.DropSend)
	n := 0
	if allocs := testing.AllocsPerRun(1000, func() {
		a.receive(from(n), msg)
		a.check(1)
		n++
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if got := int(b.drops.Count(dataplane.DropSend) - before); got != n {
		t.Errorf("%d cookie replies for %d initiations", got, n)
	}
}
