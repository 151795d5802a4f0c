package tun

// A Queue is a part of what the host sends into the tunnel: all packets of a
// flow come to the same one as long as the number of queues is the same.
type Queue interface {
	// Read and TryRead are Device's.
	Read(b []byte) (n int, err error)
	TryRead(b []byte) (n int, ok bool, err error)
	// Wait waits until TryRead may bring a packet or an error, os.ErrClosed
	// after Close; it reads nothing. It is for one goroutine at a time, beside
	// others that read.
	Wait() error
}

// A Writer is a way into the interface of one goroutine's own: Write is
// Device's, but does not wait for another Writer's.
type Writer interface {
	Write(pieces [][]byte) error
}

// A MultiQueue is a Device whose packets several goroutines may read, each from
// a queue of its own. At first there is one, from which the Device's own Read
// and TryRead read. All that is not about queues is as with any Device; Close
// closes all of them. A Device that is none has one queue for good.
type MultiQueue interface {
	Device
	// MostQueues is how many there can be.
	MostQueues() int
	// Queue is the one of number i, from 0 to MostQueues-1, whether packets come
	// to it at present or not.
	Queue(i int) Queue
	// SetQueues has packets come to the first n queues, by their flows, and ends
	// Concentrate. Most flows move when n changes. What waits in a queue that is
	// left out is lost: read it before. Calls of SetQueues and Concentrate must
	// not overlap.
	SetQueues(n int) error
	// Concentrate has all packets come to the first queue. When it returns, none
	// is on its way to another one. It reports whether the kernel does that: it
	// must permit the loading of a BPF program.
	Concentrate() bool
	// QueueLength is how many packets, or super-packets, a queue holds.
	QueueLength() int
	// NewWriter is another way to write. What is written does not move flows.
	NewWriter() Writer
}
