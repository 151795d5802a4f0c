package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"wgd/conf"
)

const (
	// largeRequest is the number of peers and allowed IPs from which a request or a
	// response leaves enough memory to return: some hundred bytes for each.
	largeRequest = 10_000

	// manyConnections is the number of connections through a proxy that leave as
	// much memory: some ten kilobytes for each.
	manyConnections = 256

	// trimDelay is long enough for several requests that belong together.
	trimDelay = time.Second
)

// A trimmer returns the memory of large requests and responses, and of what made
// many connections, to the kernel. Without it, the garbage collector would not run
// for minutes, and the process would keep twice the memory that it uses. The
// methods of a nil trimmer do nothing.
type trimmer struct {
	connections atomic.Uint64

	mu    sync.Mutex
	timer *time.Timer // nil if no trim is due
}

// handled schedules a trim if a request or response of this size is large.
func (t *trimmer) handled(peers, prefixes int) {
	if t != nil && peers+prefixes >= largeRequest {
		t.schedule()
	}
}

// connected schedules a trim if there were many connections since the last time.
func (t *trimmer) connected() {
	if t != nil && t.connections.Add(1)%manyConnections == 0 {
		t.schedule()
	}
}

func (t *trimmer) schedule() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		t.timer = time.AfterFunc(trimDelay, t.trim)
		return
	}
	t.timer.Reset(trimDelay)
}

func (t *trimmer) trim() {
	t.mu.Lock()
	t.timer = nil
	t.mu.Unlock()
	debug.FreeOSMemory()
}

// Apply applies the change, and schedules a trim if it is large.
func (t target) Apply(c conf.Change) error { return t.ApplyBy(conf.Caller{}, c) }

// ApplyBy is Apply for a control.Recorder.
func (t target) ApplyBy(by conf.Caller, c conf.Change) error {
	prefixes := 0
	for i := range c.Peers {
		prefixes += len(c.Peers[i].AllowedIPs)
	}
	defer t.memory.handled(len(c.Peers), prefixes)
	return t.apply(by, c)
}

// Summary returns the interface's summary, with what the process uses.
func (t target) Summary() conf.Summary {
	s := t.Interface.Summary()
	s.Goroutines = runtime.NumGoroutine()
	held := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(held)
	s.Memory = held[0].Value.Uint64() - held[1].Value.Uint64()
	return s
}

// Status returns the interface's status, and schedules a trim if it is large.
func (t target) Status() conf.Status {
	s := t.Interface.Status()
	prefixes := 0
	for i := range s.Peers {
		prefixes += len(s.Peers[i].AllowedIPs)
	}
	t.memory.handled(len(s.Peers), prefixes)
	return s
}
