package netstack

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/log"
)

// logInterval is the shortest time between two messages: peers can cause some of
// them.
const logInterval = time.Second

// SetLog sets the logger for gVisor's messages, at most one a second; the next
// one has the attribute "dropped", the number of messages in between. nil discards
// them, as is the default. gVisor has one log for all stacks of the process, so
// the logger is not an option of a stack.
//
// This package sets the target of gVisor's log when the program starts, because
// gVisor would print to standard error. A program that uses gVisor itself may set
// another target afterwards.
func SetLog(l *slog.Logger) { gvisorLog.set(l) }

var gvisorLog emitter

func init() { log.SetTarget(&gvisorLog) }

// An emitter passes the messages of gVisor's log to a slog.Logger.
type emitter struct {
	mu      sync.Mutex
	log     *slog.Logger // nil discards
	last    time.Time    // when the last message was passed on
	dropped int          // since then
}

func (e *emitter) set(l *slog.Logger) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.log = l
}

// Emit implements log.Emitter.
func (e *emitter) Emit(_ int, level log.Level, now time.Time, format string, v ...any) {
	l, dropped := e.admit(now)
	if l == nil {
		return
	}
	var attrs []slog.Attr
	if dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", dropped))
	}
	to := map[log.Level]slog.Level{log.Warning: slog.LevelWarn, log.Info: slog.LevelInfo, log.Debug: slog.LevelDebug}[level]
	l.LogAttrs(context.Background(), to, "gVisor: "+fmt.Sprintf(format, v...), attrs...)
}

// admit returns the logger if a message may be logged now, otherwise nil.
func (e *emitter) admit(now time.Time) (l *slog.Logger, dropped int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.log == nil {
		return nil, 0
	}
	if since := now.Sub(e.last); since >= 0 && since < logInterval {
		e.dropped++
		return nil, 0
	}
	dropped = e.dropped
	e.last, e.dropped = now, 0
	return e.log, dropped
}
