package main

import (
	"slices"
	"time"

	"wgd/internal/batch"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/udp"
)

// steps are how long one goroutine takes for the three steps of a large batch: to
// read it, to seal or open it, and to write it. They are medians, because the machine
// also does other things.
type steps struct{ Read, Work, Write time.Duration }

// large is the smallest size of a batch that counts.
const large = 16 << 10

// A watch measures the steps of one goroutine.
type watch struct {
	read, work, write []time.Duration
	began, had        time.Time
}

func (w *watch) reads() { w.began = time.Now() }

func (w *watch) hasRead(size int) {
	w.had = time.Time{}
	if now := time.Now(); size >= large {
		w.read = append(w.read, now.Sub(w.began))
		w.had = now
	}
}

// writes is called before a batch is written, and the function that it returns
// afterwards.
func (w *watch) writes(size int) (written func()) {
	if size < large || w.had.IsZero() {
		return func() {}
	}
	began := time.Now()
	w.work = append(w.work, began.Sub(w.had))
	w.had = time.Time{}
	return func() { w.write = append(w.write, time.Since(began)) }
}

func (w *watch) steps() steps {
	return steps{median(w.read), median(w.work), median(w.write)}
}

func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list[len(list)/2]
}

// Outbound packets are read from the interface and written to a socket, inbound ones
// the other way round. Each direction has its own watch.

type watchedTUN struct {
	tun.Device
	out, in *watch
}

func (t watchedTUN) Queue(i int) tun.Queue { return watchedQueue{t.Device.Queue(i), t.out} }

func (t watchedTUN) NewWriter() tun.Writer { return watchedWriter{t.Device.NewWriter(), t.in} }

type watchedQueue struct {
	tun.Queue
	out *watch
}

// Read hardly ever waits, because the load is more than one goroutine can process.
func (q watchedQueue) Read(b []byte) (int, error) {
	q.out.reads()
	n, err := q.Queue.Read(b)
	q.out.hasRead(n)
	return n, err
}

type watchedWriter struct {
	tun.Writer
	in *watch
}

func (w watchedWriter) Write(pieces [][]byte) error {
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	defer w.in.writes(size)()
	return w.Writer.Write(pieces)
}

type watchedSender struct {
	udp.Sender
	out *watch
}

func (s watchedSender) Send(b *batch.Batch) error {
	defer s.out.writes(len(b.Data))()
	return s.Sender.Send(b)
}

func (s watchedSender) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }

type watchedReceiver struct {
	udp.Receiver
	in *watch
}

func (r watchedReceiver) Recv(bs []batch.Batch) (int, error) { return r.watched(bs, r.Receiver.Recv) }

func (r watchedReceiver) TryRecv(bs []batch.Batch) (int, error) {
	return r.watched(bs, r.Receiver.TryRecv)
}

func (r watchedReceiver) watched(bs []batch.Batch, recv func([]batch.Batch) (int, error)) (int, error) {
	r.in.reads()
	n, err := recv(bs)
	size := 0
	for _, b := range bs[:n] {
		size += len(b.Data)
	}
	r.in.hasRead(size)
	return n, err
}
