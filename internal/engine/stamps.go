package engine

import (
	"sync"
	"time"

	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/wire"
	"wgd/key"
)

// stampWriter has what the machine wants remembered written by a goroutine of
// its own: neither data nor handshakes wait for the disk (A21).
type stampWriter struct {
	stamps Stamps
	bell   chan struct{}

	mu      sync.Mutex
	ceiling wire.TAI64N // to be reserved; zero: nothing is
}

func newStampWriter(s Stamps) *stampWriter {
	if s == nil {
		s = forgetful{}
	}
	return &stampWriter{stamps: s, bell: make(chan struct{}, 1)}
}

// note takes one of the machine's outputs about stamps.
func (w *stampWriter) note(out *core.Output) {
	switch out.Kind {
	case core.Reserve:
		w.mu.Lock()
		w.ceiling = out.Stamp
		w.mu.Unlock()
	case core.Accepted:
		w.stamps.Accepted(out.PublicKey, out.Stamp)
	case core.Forget:
		w.stamps.Forget(out.PublicKey)
	}
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// run writes until closing; failures are given to complain.
func (w *stampWriter) run(now func() clock.Now, complain func(error), closing <-chan struct{}) {
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		select {
		case <-w.bell:
		case <-timer.C:
		case <-closing:
			return
		}
		if err := w.reserve(); err != nil {
			complain(err)
		}
		at := now().Mono
		next, err := w.stamps.Flush(at)
		if err != nil {
			complain(err)
		}
		wait := longestSleep
		if next != clock.Never {
			wait = max(0, min(wait, next.Sub(at)))
		}
		timer.Reset(wait)
	}
}

func (w *stampWriter) reserve() error {
	w.mu.Lock()
	ceiling := w.ceiling
	w.ceiling = wire.TAI64N{}
	w.mu.Unlock()
	if ceiling.IsZero() {
		return nil
	}
	return w.stamps.Reserve(ceiling)
}

// forgetful remembers nothing: for interfaces without a disk.
type forgetful struct{}

func (forgetful) Reserve(wire.TAI64N) error            { return nil }
func (forgetful) Accepted(key.Public, wire.TAI64N)     {}
func (forgetful) Forget(key.Public)                    {}
func (forgetful) Flush(clock.Time) (clock.Time, error) { return clock.Never, nil }
func (forgetful) Close(wire.TAI64N) error              { return nil }
