package engine

import (
	"errors"
	"fmt"
	"os"
	"time"

	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
)

const (
	// drainBytes and drainPackets are how many small packets are read into one batch.
	// That is enough for a send of its own.
	drainBytes   = 16 << 10
	drainPackets = 64

	// deepReceive is how many trains are asked for at once while they are short. A long
	// one, of which GRO has joined many datagrams, is a batch by itself.
	deepReceive = udp.MaxDepth
	longTrain   = 16 << 10

	// The pauses after failures in a row grow from minPause to maxPause, so that a
	// socket or interface that always fails does not take a core.
	minPause = 10 * time.Millisecond
	maxPause = time.Second

	// After maxFailures in a row, which take about three seconds, the interface counts
	// as lost. Otherwise nobody would be told.
	maxFailures = 9
)

// interfaceLost reports whether a failed read ends the reading: because the interface was
// deleted (A62), because reading always fails (B18), or because the engine is closing. If
// not, it pauses.
func (e *Engine) interfaceLost(err error, failures int) bool {
	switch {
	case e.closed.Load():
		return true
	case errors.Is(err, tun.ErrGone), errors.Is(err, os.ErrClosed):
		e.InterfaceGone()
		return true
	case failures >= maxFailures:
		go e.end(fmt.Errorf("the interface cannot be read any more, after %d attempts: %w", failures, err))
		return true
	}
	e.world.Log.Debug("read from the interface failed", "attempt", fmt.Sprintf("%d of %d", failures, maxFailures), "err", err)
	return !e.pause(failures)
}

// pause waits after that many failures in a row. It returns false when the engine is
// closing.
func (e *Engine) pause(failures int) bool {
	timer := time.NewTimer(min(minPause<<min(failures-1, 10), maxPause))
	defer timer.Stop()
	select {
	case <-e.closing:
		return false
	case <-timer.C:
		return true
	}
}
