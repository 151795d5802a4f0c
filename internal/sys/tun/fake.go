package tun

import (
	"errors"
	"os"
	"sync"
	"time"
)

// Fake is a Device for tests, in memory: the test plays the kernel. Packets
// that it injects are read by the program, and what the program writes is
// taken out with Next.
type Fake struct {
	name   string
	in     chan []byte
	out    chan []byte
	closed chan struct{}
	gone   chan struct{}

	mu      sync.Mutex
	mtu     int
	caps    Caps
	down    bool
	failure error
	dropped int
}

var _ Device = (*Fake)(nil)

// NewFake is an interface that is up and has every offload. It holds 1,024
// packets in each direction; what does not fit is dropped and counted.
func NewFake(name string, mtu int) *Fake {
	const depth = 1024
	return &Fake{
		name: name, mtu: mtu, caps: Caps{VnetHdr: true, TSO: true, USO: true},
		in: make(chan []byte, depth), out: make(chan []byte, depth),
		closed: make(chan struct{}), gone: make(chan struct{}),
	}
}

// Inject is a packet that the host sends into the tunnel; the fake puts an
// empty header before it. It reports whether there was room.
func (f *Fake) Inject(packet []byte) bool {
	return f.InjectRaw(append(make([]byte, HeaderSize), packet...))
}

// InjectRaw is Inject of a packet behind the header it already has.
func (f *Fake) InjectRaw(raw []byte) bool { return f.put(f.in, raw) }

// Next waits for a packet that the program wrote, and returns it with its header.
func (f *Fake) Next(timeout time.Duration) (raw []byte, ok bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case raw = <-f.out:
		return raw, true
	case <-timer.C:
		return nil, false
	}
}

// Waiting is the number of injected packets that nobody has read yet.
func (f *Fake) Waiting() int { return len(f.in) }

// SetDown makes writes fail with ErrDown, or work again.
func (f *Fake) SetDown(down bool) { f.mu.Lock(); f.down = down; f.mu.Unlock() }

// SetMTU is what MTU says from now on.
func (f *Fake) SetMTU(mtu int) { f.mu.Lock(); f.mtu = mtu; f.mu.Unlock() }

// SetCaps is what Caps says from now on.
func (f *Fake) SetCaps(c Caps) { f.mu.Lock(); f.caps = c; f.mu.Unlock() }

// FailWrites makes every Write return err; nil ends that.
func (f *Fake) FailWrites(err error) { f.mu.Lock(); f.failure = err; f.mu.Unlock() }

// Delete is the interface being deleted by somebody (A62).
func (f *Fake) Delete() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !isClosed(f.gone) {
		close(f.gone)
	}
}

// Dropped is the number of packets for which there was no room.
func (f *Fake) Dropped() int { f.mu.Lock(); defer f.mu.Unlock(); return f.dropped }

func (f *Fake) Name() string { return f.name }

func (f *Fake) MTU() (int, error) { f.mu.Lock(); defer f.mu.Unlock(); return f.mtu, nil }

func (f *Fake) Caps() Caps { f.mu.Lock(); defer f.mu.Unlock(); return f.caps }

// NetNS has nothing to give: a Fake is in no namespace.
func (f *Fake) NetNS() (*os.File, error) { return nil, errors.ErrUnsupported }

func (f *Fake) Read(b []byte) (int, error) {
	if err := f.ended(); err != nil {
		return 0, err
	}
	select {
	case raw := <-f.in:
		return copy(b, raw), nil
	case <-f.closed:
		return 0, os.ErrClosed
	case <-f.gone:
		return 0, ErrGone
	}
}

func (f *Fake) TryRead(b []byte) (int, bool, error) {
	if err := f.ended(); err != nil {
		return 0, false, err
	}
	select {
	case raw := <-f.in:
		return copy(b, raw), true, nil
	default:
		return 0, false, nil
	}
}

func (f *Fake) Write(pieces [][]byte) error {
	if err := f.ended(); err != nil {
		return err
	}
	f.mu.Lock()
	down, failure := f.down, f.failure
	f.mu.Unlock()
	if failure != nil {
		return failure
	}
	if down {
		return ErrDown
	}
	var raw []byte
	for _, piece := range pieces {
		raw = append(raw, piece...)
	}
	if len(raw) <= HeaderSize || len(raw) > HeaderSize+65535 {
		return errMalformed
	}
	f.put(f.out, raw)
	return nil
}

func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !isClosed(f.closed) {
		close(f.closed)
	}
	return nil
}

func (f *Fake) put(c chan []byte, raw []byte) bool {
	select {
	case c <- raw:
		return true
	default:
		f.mu.Lock()
		f.dropped++
		f.mu.Unlock()
		return false
	}
}

func (f *Fake) ended() error {
	switch {
	case isClosed(f.closed):
		return os.ErrClosed
	case isClosed(f.gone):
		return ErrGone
	}
	return nil
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
