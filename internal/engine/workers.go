package engine

import (
	"runtime"
	"sync"

	"wgd/internal/core"
	"wgd/internal/driver"
	"wgd/internal/x25519"
)

// workers run the machine's jobs on all cores, in batches whose products are computed
// together. Jobs wait in lists, not in a
// channel: coreLoop must never block on them, and 10,000 peers may all need a
// handshake at the same moment.
//
// One of Go's processors is left to the data plane. If all of them ran jobs, only
// a goroutine of the runtime would poll the kernel for datagrams, every 10 ms, and
// data would wait that long during a storm of handshakes. So at most one batch fewer
// runs at once than there are processors, and the daemon has one processor more
// than cores (A44, B49). Their number may change at any time, so it is read for
// each batch.
//
// driver.Jobs decides which jobs are next.
type workers struct {
	do      func([]*core.Job) // core.RunTogether, except in tests
	done    func(*core.Job)
	running *sync.WaitGroup // of the engine

	mu      sync.Mutex
	wake    *sync.Cond
	started int // goroutines
	idle    int // how many of them wait for a job
	jobs    driver.Jobs
	closed  bool
}

func startWorkers(running *sync.WaitGroup, done func(*core.Job)) *workers {
	w := &workers{do: core.RunTogether, done: done, running: running, jobs: driver.Jobs{Together: x25519.Lanes()}}
	w.wake = sync.NewCond(&w.mu)
	return w
}

// limit returns how many batches may run at once.
func (w *workers) limit() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// wakeOne wakes or starts one more goroutine if there is a job for it. The caller
// holds mu.
func (w *workers) wakeOne() {
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
	var batch []*core.Job
	for {
		batch = w.next(batch[:0])
		if len(batch) == 0 {
			return
		}
		w.do(batch)
		w.mu.Lock()
		w.jobs.Done(batch)
		w.mu.Unlock()
		for _, j := range batch {
			w.done(j)
		}
		clear(batch)
		// A44, B49: the data plane goes first on this core.
		runtime.Gosched()
	}
}

// next waits for a job, and appends it to batch with what may run beside it. It
// appends nothing when the workers are closed.
func (w *workers) next(batch []*core.Job) []*core.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && !w.jobs.Ready(w.limit()) {
		w.idle++
		w.wake.Wait()
		w.idle--
	}
	if w.closed {
		return batch
	}
	batch = w.jobs.Next(batch)
	w.wakeOne() // an earlier call may have been at the limit, which may also have grown
	return batch
}

func (w *workers) put(j *core.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs.Put(j)
	w.wakeOne()
}

// room returns how many handshake messages the machine may be given now.
func (w *workers) room() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs.Space(w.limit())
}

// close ends each worker after its current batch.
func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.wake.Broadcast()
}

// left removes and returns the jobs that will not run.
func (w *workers) left() []*core.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jobs.Clear()
}
