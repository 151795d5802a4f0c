package engine

import (
	"runtime"
	"sync"

	"wgd/internal/core"
)

// workers run the machine's jobs on every core. Jobs wait in lists, not in a
// channel: coreLoop must never block on them, and 10,000 peers may all want a
// handshake at the same moment.
//
// One of Go's processors is left to those who carry data. Where all of them
// work on jobs, nobody asks the kernel whether a datagram has come, but for a
// goroutine of the runtime that does so every 10 ms: that is how long data
// waited beside a storm. So there is one worker less than processors, and the
// daemon has one processor more than cores (A44, B49).
//
// There are two lists, for initiations of ours and for work on what came in,
// from which the workers take in turn: neither has to wait until the other is
// empty (A44).
type workers struct {
	count int
	done  func(*core.Job)

	mu     sync.Mutex
	wake   *sync.Cond
	own    jobs
	others jobs
	turn   bool // the next job is one of others, if there is any
	closed bool
}

// jobs of one sort.
type jobs struct {
	waiting []*core.Job
	active  int
}

func startWorkers(running *sync.WaitGroup, done func(*core.Job)) *workers {
	w := &workers{count: max(1, runtime.GOMAXPROCS(0)-1), done: done}
	w.wake = sync.NewCond(&w.mu)
	for range w.count {
		running.Go(w.run)
	}
	return w
}

func (w *workers) run() {
	for {
		j, from := w.next()
		if j == nil {
			return
		}
		j.Run()
		w.mu.Lock()
		from.active--
		w.mu.Unlock()
		w.done(j)
		// A44, B49: who carries data goes first on this core.
		runtime.Gosched()
	}
}

// next waits for a job; nil when there will be none.
func (w *workers) next() (*core.Job, *jobs) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.own.waiting)+len(w.others.waiting) == 0 && !w.closed {
		w.wake.Wait()
	}
	if w.closed {
		return nil, nil
	}
	from := &w.own
	if len(from.waiting) == 0 || w.turn && len(w.others.waiting) > 0 {
		from = &w.others
	}
	w.turn = from == &w.own
	return from.take(), from
}

func (l *jobs) take() *core.Job {
	j := l.waiting[0]
	l.waiting[0] = nil
	if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	l.active++
	return j
}

func (w *workers) put(j *core.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := &w.others
	if j.Initiates() {
		list = &w.own
	}
	list.waiting = append(list.waiting, j)
	w.wake.Signal()
}

// room is how many handshake messages the machine may be given now: enough to
// keep every core busy, and no more, so that the others wait where waiting is
// measured (A28).
func (w *workers) room() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return 4*w.count - len(w.others.waiting) - w.others.active
}

// close ends the workers after the jobs that they are at.
func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.wake.Broadcast()
}

// left are the jobs that nobody is going to run.
func (w *workers) left() []*core.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := append(w.own.waiting, w.others.waiting...)
	w.own.waiting, w.others.waiting = nil, nil
	return list
}
