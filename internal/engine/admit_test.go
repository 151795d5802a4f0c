package engine

import (
	"os"
	"testing"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/dataplane"
	"wgd/internal/sys/udp"
)

// floodReceiver receives a number of batches full of one message, and then nothing.
type floodReceiver struct {
	msg     []byte
	batches int
	looks   int // calls of TryRecv that found nothing
	waits   int // calls of Recv that found nothing
}

func (r *floodReceiver) TryRecv(bs []batch.Batch) (int, error) {
	if r.batches == 0 {
		r.looks++
		return 0, nil
	}
	r.batches--
	for i := range bs {
		bs[i] = batch.Batch{Data: r.msg, Stride: len(r.msg), Remote: from(i)}
	}
	return len(bs), nil
}

func (r *floodReceiver) Recv(bs []batch.Batch) (int, error) {
	if n, _ := r.TryRecv(bs); n > 0 {
		return n, nil
	}
	r.waits++
	return 0, os.ErrClosed
}

// A44, B49: while there is always something to read, a flood of initiations gets two
// cookie replies with each batch. The others wait, as many as there is room for, and are
// answered a few at a time when there is nothing to read; then the reader sleeps.
func TestFloodWaitsForData(t *testing.T) {
	for _, wait := range []bool{true, false} {
		_, _, b := pair(t)
		force := true
		b.apply(conf.Change{Tunables: conf.TunablesChange{ForceUnderload: &force}})
		old := b.sockets.set(&udp.Pair{}) // every reply is counted as not sent
		defer b.sockets.set(old)
		replies := func() int { return int(b.drops.Count(dataplane.DropSend)) }
		flooded := func() int { return int(b.drops.Count(dataplane.DropFlood)) }
		private, _ := newKey(t)

		const batches = 1000
		r := &floodReceiver{msg: initiation(t, private, b.public), batches: batches}
		h := &inHandler{engine: b.Engine, admitter: b.newAdmitter(), from: r, bs: make([]batch.Batch, deepReceive), depth: deepReceive}
		h.dec = dataplane.NewDecapsulator(b.shared, b.world.TUN.NewWriter(), h.admitter.receive)
		h.job = h.dec.NewJob()
		before := replies()
		for range batches {
			if _, err := h.Read(wait); err != nil {
				t.Fatal(err)
			}
			h.Prepare()
			h.Work()
			h.Finish()
		}
		if got := replies() - before; got != batches*checksPerBatch {
			t.Errorf("%d replies while there was something to read, want %d", got, batches*checksPerBatch)
		}
		waiting := h.admitter.deferred.Waiting()
		if sum := waiting + flooded() + replies() - before; sum != batches*deepReceive || flooded() == 0 {
			t.Errorf("%d wait, %d are dropped: %d in all of %d", waiting, flooded(), sum, batches*deepReceive)
		}
		before = replies()
		info, err := h.Read(wait)
		if info.Bytes != 0 || (err == os.ErrClosed) != wait || r.waits > 1 {
			t.Errorf("read %d bytes, %v", info.Bytes, err)
		}
		if got := replies() - before; got != waiting {
			t.Errorf("%d replies when there was nothing to read, want %d", got, waiting)
		}
		if min := waiting / checksPerLook; r.looks < min {
			t.Errorf("looked %d times whether there is something to read, want %d", r.looks, min)
		}
	}
}
