package engine

import (
	"runtime"
	"sync"

	"wgd/internal/core"
)

// workers run the machine's jobs on every core. Jobs wait in a list, not in a
// channel: coreLoop must never block on them, and 10,000 peers may all want a
// handshake at the same moment.
type workers struct {
	count int
	done  func(*core.Job)

	mu     sync.Mutex
	wake   *sync.Cond
	jobs   []*core.Job
	active int
	closed bool
}

func startWorkers(running *sync.WaitGroup, done func(*core.Job)) *workers {
	w := &workers{count: runtime.GOMAXPROCS(0), done: done}
	w.wake = sync.NewCond(&w.mu)
	running.Add(w.count)
	for range w.count {
		go func() {
			defer running.Done()
			w.run()
		}()
	}
	return w
}

func (w *workers) run() {
	for {
		j := w.next()
		if j == nil {
			return
		}
		j.Run()
		w.mu.Lock()
		w.active--
		w.mu.Unlock()
		w.done(j)
	}
}

// next waits for a job; nil when there will be none.
func (w *workers) next() *core.Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.jobs) == 0 && !w.closed {
		w.wake.Wait()
	}
	if w.closed {
		return nil
	}
	j := w.jobs[0]
	w.jobs[0] = nil
	w.jobs = w.jobs[1:]
	w.active++
	return j
}

func (w *workers) put(j *core.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.jobs = append(w.jobs, j)
	w.wake.Signal()
}

// room is how many handshake messages the machine may be given now: enough to
// keep every core busy, and no more, so that the others wait where waiting is
// measured (A28).
func (w *workers) room() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return 4*w.count - len(w.jobs) - w.active
}

func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.jobs = nil
	w.wake.Broadcast()
}
