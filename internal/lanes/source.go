package lanes

import "wgd/internal/clock"

// A Source is what a lane reads: the interface, a socket, or one queue of either.
type Source struct {
	// NewHandler makes the handler of one more goroutine of the lane.
	NewHandler func() Handler
	// Wait waits until there is something to read, or until Read would fail. It is
	// called only for the queues of a group.
	Wait func() error
}

// A Handler reads and processes batches, one at a time, for one goroutine of a
// lane: Read, Prepare, Work, Finish.
type Handler interface {
	// Read reads a batch. If wait is false and nothing is there, it returns one of
	// no bytes.
	Read(wait bool) (BatchInfo, error)
	// Failed is called with an error of Read. It pauses if that makes sense, and
	// reports whether the lane is to end. Meanwhile, if the source is a queue of a
	// group, the goroutine that changes the number of queues may call the others.
	Failed(err error) (end bool)
	// Prepare does what must be done in the order of reading. Like Read, it is
	// called by the goroutine that holds the read lock. It reports whether the next
	// batch may be read before Finish.
	Prepare() (complete bool)
	// Work needs no order. It is most of the work.
	Work()
	// Finish is called in the order of reading, when all batches read before are
	// finished.
	Finish()
}

// BatchInfo is what a lane knows about a batch that was read.
type BatchInfo struct {
	Bytes int
	At    clock.Time // when it was read

	// For queue groups.
	Count int    // packets, or trains
	Flow  uint32 // a hash of the flow of one of them
}

// processAlone processes the batch that h has read. All batches read before are
// finished, and none is read meanwhile.
func processAlone(h Handler) {
	h.Prepare()
	h.Work()
	h.Finish()
}
