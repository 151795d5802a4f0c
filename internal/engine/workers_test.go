package engine

import (
	"runtime"
	"sync"
	"testing"

	"wgd/internal/core"
)

// A44, B49: one of Go's processors is never occupied by handshakes, so that the
// kernel is asked for data while a storm lasts; and one worker there always is.
func TestWorkersLeaveOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct{ processors, workers int }{{1, 1}, {2, 1}, {3, 2}, {9, 8}} {
		runtime.GOMAXPROCS(c.processors)
		var running sync.WaitGroup
		w := startWorkers(&running, func(*core.Job) {})
		if w.count != c.workers {
			t.Errorf("%d workers for %d processors, want %d", w.count, c.processors, c.workers)
		}
		w.close()
		running.Wait()
	}
}
