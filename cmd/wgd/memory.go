package main

import (
	"runtime/debug"
	"sync"
	"time"

	"wgd/conf"
)

const (
	// largeRequest is how many peers and allowed IPs a request or an answer has
	// whose traces are worth being cleared away: some hundred bytes for each.
	largeRequest = 10_000

	// trimDelay is when: those who configure or read in pieces are done by then.
	trimDelay = time.Second
)

// trimmer gives the memory back that a large request or answer took, for which
// the collector otherwise has no reason for minutes: twice of what is in use
// would stay with the daemon. nil does nothing.
type trimmer struct {
	mu    sync.Mutex
	timer *time.Timer // nil: nothing is due
}

// after notes that a request or an answer of that size was made.
func (t *trimmer) handled(peers, prefixes int) {
	if t == nil || peers+prefixes < largeRequest {
		return
	}
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

// Apply is the interface's, and notes how large the change was.
func (t target) Apply(c conf.Change) error {
	prefixes := 0
	for i := range c.Peers {
		prefixes += len(c.Peers[i].AllowedIPs)
	}
	defer t.memory.handled(len(c.Peers), prefixes)
	return t.apply(c)
}

// Status is the interface's, and notes how large it is.
func (t target) Status() conf.Status {
	s := t.Interface.Status()
	prefixes := 0
	for i := range s.Peers {
		prefixes += len(s.Peers[i].AllowedIPs)
	}
	t.memory.handled(len(s.Peers), prefixes)
	return s
}
