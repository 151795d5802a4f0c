package engine

import (
	"log/slog"
	"sync"
	"time"

	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/wire"
	"wgd/key"
)

// stampPatience is how long Close waits for the disk.
const stampPatience = 3 * time.Second

// stampWriter has what the machine wants remembered written by a goroutine of
// its own: neither data nor handshakes wait for the disk (A21), and Close does
// not wait long.
type stampWriter struct {
	stamps Stamps
	log    *slog.Logger
	bell   chan struct{}
	last   chan wire.TAI64N // ends run
	ended  chan struct{}

	mu      sync.Mutex
	ceiling wire.TAI64N // to be reserved; zero: nothing is

	failing bool // run's own: somebody was told
}

// startStamps is the only one to use s from here on; nil remembers nothing.
func startStamps(s Stamps, now func() clock.Now, log *slog.Logger) *stampWriter {
	if s == nil {
		s = forgetful{}
	}
	w := &stampWriter{
		stamps: s, log: log,
		bell: make(chan struct{}, 1), last: make(chan wire.TAI64N, 1), ended: make(chan struct{}),
	}
	go w.run(now)
	return w
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

// run writes until close.
func (w *stampWriter) run(now func() clock.Now) {
	defer close(w.ended)
	timer := time.NewTimer(longestSleep)
	defer timer.Stop()
	for {
		select {
		case <-w.bell:
		case <-timer.C:
		case last := <-w.last:
			w.tell(w.stamps.Close(last), false)
			return
		}
		timer.Reset(w.write(now().Mono))
	}
}

// write writes what waits, and returns after what time to come again.
func (w *stampWriter) write(now clock.Time) time.Duration {
	reserved := w.reserve()
	next, err := w.stamps.Flush(now)
	if reserved != nil {
		err = reserved
	}
	w.tell(err, next == clock.Never)
	if next == clock.Never {
		return longestSleep
	}
	return max(0, min(longestSleep, next.Sub(now)))
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

// tell says when the writing begins to fail, and when all is written again;
// not with each attempt.
func (w *stampWriter) tell(err error, written bool) {
	switch {
	case err != nil && !w.failing:
		w.failing = true
		w.log.Warn("handshake timestamps are not saved; after a crash, peers may refuse us until the clock has caught up", "err", err)
	case err == nil && written && w.failing:
		w.failing = false
		w.log.Warn("handshake timestamps are saved again")
	}
}

// close writes the rest, and last as the greatest stamp of ours. It gives up
// when the disk does not answer in time: then the goroutine stays behind.
func (w *stampWriter) close(last wire.TAI64N) {
	w.last <- last
	timer := time.NewTimer(stampPatience)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C:
		w.log.Warn("the disk does not answer: the handshake timestamps of the last moment are not saved")
	}
}

// forgetful remembers nothing: for interfaces without a disk.
type forgetful struct{}

func (forgetful) Reserve(wire.TAI64N) error            { return nil }
func (forgetful) Accepted(key.Public, wire.TAI64N)     {}
func (forgetful) Forget(key.Public)                    {}
func (forgetful) Flush(clock.Time) (clock.Time, error) { return clock.Never, nil }
func (forgetful) Close(wire.TAI64N) error              { return nil }
