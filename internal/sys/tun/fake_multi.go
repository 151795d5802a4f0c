package tun

import (
	"hash/fnv"
	"os"
	"sync"
	"time"
)

// FakeMulti is a Fake with several queues. Flows are told apart by addresses and
// ports, and what is in a queue that is detached is lost, as with the kernel.
type FakeMulti struct {
	*Fake
	queues []*fakeQueue

	steering sync.RWMutex // guards what follows
	attached int          // 0: all packets come to the first
	changes  int
}

var _ MultiQueue = (*FakeMulti)(nil)

type fakeQueue struct {
	fake *Fake
	in   chan []byte
}

// NewFakeMulti is NewFake with up to most queues, of which one is attached.
func NewFakeMulti(name string, mtu, most int) *FakeMulti {
	f := &FakeMulti{Fake: NewFake(name, mtu), attached: 1}
	for i := range most {
		q := &fakeQueue{f.Fake, f.in}
		if i > 0 {
			q.in = make(chan []byte, cap(f.in))
		}
		f.queues = append(f.queues, q)
	}
	return f
}

// Inject is Fake's, to the queue of the packet's flow.
func (f *FakeMulti) Inject(packet []byte) bool {
	return f.InjectRaw(append(make([]byte, HeaderSize), packet...))
}

// InjectRaw is Fake's, to the queue of the packet's flow.
func (f *FakeMulti) InjectRaw(raw []byte) bool {
	f.steering.RLock()
	defer f.steering.RUnlock()
	return f.put(f.queues[f.choose(raw)].in, raw)
}

// choose is the number of the queue for a packet.
func (f *FakeMulti) choose(raw []byte) uint32 {
	const addresses, ports = 12, 24 // in an IPv4 packet without options
	packet := raw[min(HeaderSize, len(raw)):]
	h := fnv.New32a()
	h.Write(packet[min(addresses, len(packet)):min(ports, len(packet))])
	return h.Sum32() % uint32(max(f.attached, 1))
}

// Changes is how often the number of queues became another.
func (f *FakeMulti) Changes() int {
	f.steering.RLock()
	defer f.steering.RUnlock()
	return f.changes
}

// Attached is the number of queues to which packets come.
func (f *FakeMulti) Attached() int {
	f.steering.RLock()
	defer f.steering.RUnlock()
	return max(f.attached, 1)
}

func (f *FakeMulti) MostQueues() int { return len(f.queues) }

func (f *FakeMulti) Queue(i int) Queue { return f.queues[i] }

func (f *FakeMulti) SetQueues(n int) error {
	if n < 1 || n > len(f.queues) {
		return errMalformed
	}
	f.steering.Lock()
	defer f.steering.Unlock()
	f.attached = n
	f.changes++
	for _, q := range f.queues[n:] {
		for len(q.in) > 0 {
			<-q.in
			f.put(nil, nil) // which has no room: it is counted as dropped
		}
	}
	return nil
}

func (f *FakeMulti) Concentrate() bool {
	f.steering.Lock()
	defer f.steering.Unlock()
	f.attached = 0
	return true
}

// QueueLength is what a Fake holds.
func (f *FakeMulti) QueueLength() int { return cap(f.in) }

// NewWriter is the fake itself.
func (f *FakeMulti) NewWriter() Writer { return f.Fake }

func (q *fakeQueue) Read(b []byte) (int, error) {
	if err := q.fake.ended(); err != nil {
		return 0, err
	}
	select {
	case raw := <-q.in:
		return copy(b, raw), nil
	case <-q.fake.closed:
		return 0, os.ErrClosed
	case <-q.fake.gone:
		return 0, ErrGone
	}
}

// Wait looks again and again: a channel does not tell without being received from.
func (q *fakeQueue) Wait() error {
	const pause = 50 * time.Microsecond
	for len(q.in) == 0 {
		switch err := q.fake.ended(); err {
		case nil:
			time.Sleep(pause)
		case ErrGone:
			return nil
		default:
			return err
		}
	}
	return nil
}

func (q *fakeQueue) TryRead(b []byte) (int, bool, error) {
	if err := q.fake.ended(); err != nil {
		return 0, false, err
	}
	select {
	case raw := <-q.in:
		return copy(b, raw), true, nil
	default:
		return 0, false, nil
	}
}
