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

// stampCloseTimeout is how long Close waits for the disk.
const stampCloseTimeout = 3 * time.Second

// A stampWriter writes stamps in a goroutine of its own: neither data nor
// handshakes wait for the disk (A21), and Close waits for a limited time.
type stampWriter struct {
	stamps Stamps
	log    *slog.Logger
	bell   chan struct{}
	last   chan wire.TAI64N // a value ends run
	ended  chan struct{}

	mu      sync.Mutex
	ceiling wire.TAI64N // to be reserved, or zero

	failing bool // used by run only: the failure was logged
}

// startStamps starts a stampWriter, which is from then on the only user of s.
// If s is nil, stamps are not stored.
func startStamps(s Stamps, now func() clock.Now, log *slog.Logger) *stampWriter {
	if s == nil {
		s = noStamps{}
	}
	w := &stampWriter{
		stamps: s, log: log,
		bell: make(chan struct{}, 1), last: make(chan wire.TAI64N, 1), ended: make(chan struct{}),
	}
	go w.run(now)
	return w
}

// note records one of the machine's outputs about stamps.
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
			w.report(w.stamps.Close(last), false)
			return
		}
		timer.Reset(w.write(now().Mono))
	}
}

// write writes what is pending, and returns how long to wait before the next
// write.
func (w *stampWriter) write(now clock.Time) time.Duration {
	reserved := w.reserve()
	next, err := w.stamps.Flush(now)
	if reserved != nil {
		err = reserved
	}
	w.report(err, next == clock.Never)
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

// report logs the first of successive failures to write, and that everything
// is written again.
func (w *stampWriter) report(err error, written bool) {
	switch {
	case err != nil && !w.failing:
		w.failing = true
		w.log.Warn("handshake timestamps are not saved; after a crash, peers may refuse us until the clock has caught up", "err", err)
	case err == nil && written && w.failing:
		w.failing = false
		w.log.Warn("handshake timestamps are saved again")
	}
}

// close writes the rest, with last as the greatest stamp sent. If the disk does
// not respond in time, it returns and leaves the goroutine running.
func (w *stampWriter) close(last wire.TAI64N) {
	w.last <- last
	timer := time.NewTimer(stampCloseTimeout)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C:
		w.log.Warn("the disk does not answer: the handshake timestamps of the last moment are not saved")
	}
}

// noStamps stores nothing, for interfaces without a disk.
type noStamps struct{}

func (noStamps) Reserve(wire.TAI64N) error            { return nil }
func (noStamps) Accepted(key.Public, wire.TAI64N)     {}
func (noStamps) Forget(key.Public)                    {}
func (noStamps) Flush(clock.Time) (clock.Time, error) { return clock.Never, nil }
func (noStamps) Close(wire.TAI64N) error              { return nil }
