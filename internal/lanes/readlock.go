package lanes

import (
	"runtime"
	"sync/atomic"
)

// A readLock is a mutex that spins before it sleeps. The goroutine that holds the
// one of a lane reads.
type readLock struct {
	held    atomic.Bool
	waiting atomic.Int32  // goroutines that sleep or are about to
	wake    chan struct{} // wakes one of them; it may find the lock taken again
	hook    stepHook
}

func newReadLock() *readLock { return &readLock{wake: make(chan struct{}, 1)} }

func (l *readLock) lock() {
	l.hook.at("spin", nil)
	if spin(l.hook.rounds(), l.tryLock) {
		return
	}
	l.hook.at("count in", nil)
	l.waiting.Add(1)
	// unlock first frees the lock and then looks at waiting. So either tryLock
	// succeeds, or unlock sees this goroutine.
	for l.hook.at("try", nil); !l.tryLock(); l.hook.at("try", nil) {
		l.hook.at("sleep", l.wake)
		<-l.wake
	}
	l.hook.at("count out", nil)
	l.waiting.Add(-1)
}

func (l *readLock) tryLock() bool { return !l.held.Load() && l.held.CompareAndSwap(false, true) }

func (l *readLock) unlock() {
	l.hook.at("free", nil)
	l.held.Store(false)
	l.hook.at("look", nil)
	if l.waiting.Load() == 0 {
		return
	}
	l.hook.at("wake", nil)
	select {
	case l.wake <- struct{}{}:
		runtime.Gosched() // so that it runs at once; another core continues with this goroutine
	default:
	}
}
