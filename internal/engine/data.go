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
	// drainBytes and drainPackets end the draining of small packets into one
	// batch: what has gathered by then is worth a send of its own.
	drainBytes   = 16 << 10
	drainPackets = 64

	// deepReceive is how many trains are asked for at once while they are
	// short: a long one (GRO at work) fills a turn by itself.
	deepReceive = udp.MaxDepth
	longTrain   = 16 << 10

	// A socket or interface that fails again and again must not take a core:
	// the pauses grow from errorPause to longestPause.
	errorPause   = 10 * time.Millisecond
	longestPause = time.Second

	// mostFailures in a row, about three seconds, and the interface counts as
	// lost: nobody would be told otherwise.
	mostFailures = 9
)

// interfaceLost decides whether a failed read is the end: it is when the
// interface was deleted (A62), when reading it fails for good (B18), or when
// the engine closes.
func (e *Engine) interfaceLost(err error, failures int) bool {
	switch {
	case e.closed.Load():
		return true
	case errors.Is(err, tun.ErrGone), errors.Is(err, os.ErrClosed):
		e.InterfaceGone()
		return true
	case failures >= mostFailures:
		go e.end(fmt.Errorf("the interface cannot be read any more, after %d attempts: %w", failures, err))
		return true
	}
	e.world.Log.Debug("read from the interface failed", "attempt", fmt.Sprintf("%d of %d", failures, mostFailures), "err", err)
	return !e.pause(failures)
}

// pause waits after that many failures in a row; false when the engine closes.
func (e *Engine) pause(failures int) bool {
	timer := time.NewTimer(min(errorPause<<min(failures-1, 10), longestPause))
	defer timer.Stop()
	select {
	case <-e.closing:
		return false
	case <-timer.C:
		return true
	}
}
