package engine

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/lanes"
	"wgd/internal/sys/clock"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
)

// While a lane pauses after an error, the goroutine that changes the number of queues
// reads by its handler. (The race detector proves that.)
func TestReadDuringFailed(t *testing.T) {
	e := &Engine{world: World{Clock: clock.Now, Log: slog.New(slog.DiscardHandler)}, closing: make(chan struct{})}
	close(e.closing)
	for name, h := range map[string]interface {
		Read(wait bool) (lanes.BatchInfo, error)
		Failed(error) bool
	}{
		"inHandler":  &inHandler{engine: e, from: endlessSocket{}, admitter: &admitter{engine: e}, bs: make([]batch.Batch, deepReceive), depth: 1},
		"outHandler": &outHandler{engine: e, from: endlessQueue{}, buf: make([]byte, outBuffer)},
	} {
		t.Run(name, func(t *testing.T) {
			var reading sync.WaitGroup
			reading.Go(func() {
				if b, err := h.Read(false); b.Count == 0 || err != nil {
					t.Errorf("Read: %d, %v", b.Count, err)
				}
			})
			h.Failed(errors.New("no memory"))
			reading.Wait()
		})
	}
}

// In these there is always a datagram or a packet.
type (
	endlessSocket struct{ udp.Receiver }
	endlessQueue  struct{ tun.Queue }
)

func (endlessSocket) TryRecv([]batch.Batch) (int, error) { return 1, nil }
func (endlessQueue) TryRead([]byte) (int, bool, error)   { return tun.HeaderSize, true, nil }

// framesQueue has frames of these lengths, and then none.
type framesQueue struct {
	tun.Queue
	lengths []int
	read    int
}

func (q *framesQueue) TryRead(b []byte) (int, bool, error) {
	if q.read == len(q.lengths) {
		return 0, false, nil
	}
	q.read++
	return len(b[:q.lengths[q.read-1]]), true, nil
}

// A batch from the interface has enough packets for a send, and for packets to
// different peers to be sealed together; and it ends before the first one has waited
// for long.
func TestDrain(t *testing.T) {
	for name, c := range map[string]struct {
		lengths []int
		want    int // frames in the first batch
	}{
		"nothing more":             {slices.Repeat([]int{1430}, 5), 5},
		"small packets":            {slices.Repeat([]int{110}, 100), drainPackets},
		"packets of 1,420 bytes":   {slices.Repeat([]int{1430}, 100), drainFrames},
		"packets of 500 bytes":     {slices.Repeat([]int{510}, 100), 33},
		"packets of 8,920 bytes":   {slices.Repeat([]int{8930}, 100), 2},
		"a super-packet":           {[]int{65000, 1430}, 1},
		"short super-packets":      {slices.Repeat([]int{6000}, 100), 3},
		"packets and super-packet": {append(slices.Repeat([]int{shortFrame}, drainFrames-1), tun.BufferSize, 110), drainFrames},
		"super-packet and packets": {append([]int{drainBytes - 1}, slices.Repeat([]int{shortFrame}, 100)...), 23},
	} {
		q := &framesQueue{lengths: c.lengths}
		o := &outHandler{engine: &Engine{world: World{Clock: clock.Now}}, from: q, buf: make([]byte, outBuffer)}
		b, err := o.Read(false)
		if b.Count != c.want || q.read != c.want || err != nil {
			t.Errorf("%s: a batch has %d frames, after %d reads, %v; want %d", name, b.Count, q.read, err, c.want)
		}
	}
}
