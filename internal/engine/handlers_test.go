package engine

import (
	"errors"
	"log/slog"
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
		"outHandler": &outHandler{engine: e, from: endlessQueue{}, buf: make([]byte, tun.BufferSize+drainBytes+tun.BufferSize)},
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
