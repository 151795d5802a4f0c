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
	// drainBytes and drainPackets limit how many small packets are read into one
	// batch. They are enough to make a send worthwhile.
	drainBytes   = 16 << 10
	drainPackets = 64

	// Of frames of at most shortFrame bytes, drainFrames are read in any case, since
	// packets to different peers are sealed together (see aead). They take at most
	// maxDrain, less than a super-packet; one that is read after them may come on top.
	drainFrames = 32
	shortFrame  = 1536
	maxDrain    = drainFrames * shortFrame

	// deepReceive is how many trains one receive may return while they are short. A
	// long one, in which GRO has joined many datagrams, is a batch by itself.
	deepReceive = udp.MaxDepth
	longTrain   = 16 << 10

	// The pauses after successive failures grow from minPause to maxPause, so that a
	// socket or interface that always fails does not occupy a core.
	minPause = 10 * time.Millisecond
	maxPause = time.Second

	// After maxFailures successive failures, which take about three seconds, the
	// interface counts as lost and the engine ends, so that the failure is reported.
	maxFailures = 9
)

// interfaceLost reports whether reading must stop after a failed read: because the
// interface was deleted (A62), because reading always fails (B18), or because the engine
// is closing. Otherwise it pauses.
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

// pause waits after the given number of successive failures. It returns false if the
// engine is closing.
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
