package engine

import (
	"runtime"
	"sync"

	"wgd/internal/core"
	"wgd/internal/driver"
)

// workers run the machine's jobs on every core. Jobs wait in lists, not in a
// channel: coreLoop must never block on them, and 10,000 peers may all want a
// handshake at the same moment.
//
// One of Go's processors is left to those who carry data. Where all of them
// work on jobs, nobody asks the kernel whether a datagram has come, but for a
// goroutine of the runtime that does so every 10 ms: that is how long data
// waited beside a storm. So one job less runs at once than there are processors,
// and the daemon has one processor more than cores (A44, B49). Their number may
// change at any time, so it is asked for each job.
//
// driver.Jobs says which one is next.
type workers struct {
	do      func(*core.Job) // Job.Run, but for tests
	done    func(*core.Job)
	running *sync.WaitGroup // of the engine

	mu      sync.Mutex
	wake    *sync.Cond
	started int // goroutines
	idle    int // of them, those that wait
	jobs    driver.Jobs
	closed  bool
}

func startWorkers(running *sync.WaitGroup, done func(*core.Job)) *workers {
	w := &workers{do: (*core.Job).Run, done: done, running: running}
	w.wake = sync.NewCond(&w.mu)
	return w
}

// limit is how many jobs may run at once.
func (w *workers) limit() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// more has one more goroutine work, if there is a job for it. The caller holds mu.
func (w *workers) more() {
	switch limit := w.limit(); {
	case w.closed || !w.jobs.Ready(limit):
	case w.idle > 0:
		w.wake.Signal()
	case w.started < limit:
		w.started++
		w.running.Go(w.run)
	}
}

func (w *workers) run() {
	for {
		j := w.next()
		if j == nil {
			return
		}
		w.do(j)
		w.mu.Lock()
		w.jobs.Done(j)
		w.mu.Unlock()
		w.done(j)
		// A44, B49: who carries data goes first on this core.
		runtime.Gosched()
	}
}

// next waits for a job; nil when there will be none.
func (w *workers) next() *core.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && !w.jobs.Ready(w.limit()) {
		w.idle++
		w.wake.Wait()
		w.idle--
	}
	if w.closed {
		return nil
	}
	j := w.jobs.Next()
	w.more() // who was to be woken before may not have been, and the limit may have grown
	return j
}

func (w *workers) put(j *core.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs.Put(j)
	w.more()
}

// room is how many handshake messages the machine may be given now.
func (w *workers) room() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs.Room(w.limit())
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
	return w.jobs.Clear()
}
