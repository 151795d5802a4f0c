package main

import (
	"runtime/debug"
	"sync/atomic"
	"time"

	"wgd/conf"
)

const (
	// largeRequest is how many peers and allowed IPs a request or an answer has
	// whose traces are worth being cleared away: some hundred bytes for each.
	largeRequest = 10_000

	// tidyAfter is when: those who configure or read in pieces are done by then.
	tidyAfter = time.Second
)

// tidier gives the memory back that a large request or answer took, for which
// the collector otherwise has no reason for minutes: twice of what is in use
// would stay with the daemon. nil does nothing.
type tidier struct{ due atomic.Bool }

// after notes a request or an answer.
func (t *tidier) after(peers, prefixes int) {
	if t == nil || peers+prefixes < largeRequest || !t.due.CompareAndSwap(false, true) {
		return
	}
	time.AfterFunc(tidyAfter, func() {
		t.due.Store(false)
		debug.FreeOSMemory()
	})
}

// Apply is the interface's, and notes how large the change was.
func (t target) Apply(c conf.Change) error {
	prefixes := 0
	for i := range c.Peers {
		prefixes += len(c.Peers[i].AllowedIPs)
	}
	t.memory.after(len(c.Peers), prefixes)
	return t.apply(c)
}

// Status is the interface's, and notes how large it is.
func (t target) Status() conf.Status {
	s := t.Interface.Status()
	prefixes := 0
	for i := range s.Peers {
		prefixes += len(s.Peers[i].AllowedIPs)
	}
	t.memory.after(len(s.Peers), prefixes)
	return s
}
