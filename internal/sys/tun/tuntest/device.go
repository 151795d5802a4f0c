package tuntest

import (
	"errors"
	"hash/fnv"
	"os"
	"sync"
	"time"

	"wgd/internal/packet"
	"wgd/internal/sys/tun"
)

// Device is an interface of the test. The packets that the test injects are read
// by the program; what the program writes is taken out with Next. As in the kernel,
// flows are told apart by addresses and ports, and what waits in a queue that is
// left out is lost. Any goroutine may call any method.
type Device struct {
	name   string
	queues []*queue
	out    chan []byte
	closed chan struct{}
	gone   chan struct{}

	mu      sync.Mutex
	mtu     int
	caps    tun.Caps
	down    bool
	failure error
	dropped int

	steering sync.RWMutex // guards what follows
	attached int          // 0: all packets come to the first queue
	changes  int
}

var _ tun.Device = (*Device)(nil)

// depth is how many packets each queue, and each direction, holds.
const depth = 1024

// New is an interface that is up and has every offload and one queue. It holds
// 1,024 packets in each direction; what does not fit is dropped and counted.
func New(name string, mtu int) *Device { return NewQueues(name, mtu, 1) }

// NewQueues is New with that many queues, to the first of which all packets come.
func NewQueues(name string, mtu, queues int) *Device {
	d := &Device{
		name: name, mtu: mtu, caps: tun.Caps{VnetHdr: true, TSO: true, USO: true, Queues: queues},
		out: make(chan []byte, depth), closed: make(chan struct{}), gone: make(chan struct{}), attached: 1,
	}
	for range queues {
		d.queues = append(d.queues, &queue{d, make(chan []byte, depth)})
	}
	return d
}

// Inject is a packet that the host sends into the tunnel, to the queue of its
// flow; the fake puts an empty header before it. It reports whether there was room.
func (d *Device) Inject(packet []byte) bool {
	return d.InjectRaw(append(make([]byte, tun.HeaderSize), packet...))
}

// InjectRaw is Inject of a packet behind the header it already has.
func (d *Device) InjectRaw(raw []byte) bool {
	d.steering.RLock()
	defer d.steering.RUnlock()
	return d.put(d.queues[d.choose(raw)].in, raw)
}

// choose is the number of the queue for a packet.
func (d *Device) choose(raw []byte) uint32 {
	const addresses, ports = 12, 24 // in an IPv4 packet without options
	p := raw[min(tun.HeaderSize, len(raw)):]
	h := fnv.New32a()
	h.Write(p[min(addresses, len(p)):min(ports, len(p))])
	return h.Sum32() % uint32(max(d.attached, 1))
}

// Next waits for a packet that the program wrote, and returns it with its header.
func (d *Device) Next(timeout time.Duration) (raw []byte, ok bool) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case raw = <-d.out:
		return raw, true
	case <-timer.C:
		return nil, false
	}
}

// Waiting is the number of injected packets that nobody has read yet.
func (d *Device) Waiting() (n int) {
	for _, q := range d.queues {
		n += len(q.in)
	}
	return n
}

// SetDown makes writes fail with tun.ErrDown, or work again.
func (d *Device) SetDown(down bool) { d.mu.Lock(); d.down = down; d.mu.Unlock() }

// SetMTU is what MTU says from now on.
func (d *Device) SetMTU(mtu int) { d.mu.Lock(); d.mtu = mtu; d.mu.Unlock() }

// SetCaps is what Caps and Offloads say from now on.
func (d *Device) SetCaps(c tun.Caps) { d.mu.Lock(); d.caps = c; d.mu.Unlock() }

// FailWrites makes every Write return err; nil ends that.
func (d *Device) FailWrites(err error) { d.mu.Lock(); d.failure = err; d.mu.Unlock() }

// Delete is the interface being deleted by somebody (A62).
func (d *Device) Delete() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !isClosed(d.gone) {
		close(d.gone)
	}
}

// Dropped is the number of packets for which there was no room.
func (d *Device) Dropped() int { d.mu.Lock(); defer d.mu.Unlock(); return d.dropped }

// Changes is how often SetQueues was called.
func (d *Device) Changes() int {
	d.steering.RLock()
	defer d.steering.RUnlock()
	return d.changes
}

// Attached is the number of queues to which packets come.
func (d *Device) Attached() int {
	d.steering.RLock()
	defer d.steering.RUnlock()
	return max(d.attached, 1)
}

// Name is what New was given.
func (d *Device) Name() string { return d.name }

// MTU is what New was given, or SetMTU.
func (d *Device) MTU() (int, error) { d.mu.Lock(); defer d.mu.Unlock(); return d.mtu, nil }

// Caps has every offload, unless SetCaps said otherwise.
func (d *Device) Caps() tun.Caps { d.mu.Lock(); defer d.mu.Unlock(); return d.caps }

// Offloads are those of Caps: nothing is ever refused.
func (d *Device) Offloads() packet.Offloads {
	c := d.Caps()
	return packet.Offloads{TCP: c.TSO, UDP: c.USO}
}

// Unjoined is 0.
func (d *Device) Unjoined() uint64 { return 0 }

// NetNS has nothing to give: the interface is in no namespace.
func (d *Device) NetNS() (*os.File, error) { return nil, errors.ErrUnsupported }

// NewWriter is the device itself, whose writers wait for each other.
func (d *Device) NewWriter() tun.Writer { return d }

// Write is tun.Writer's.
func (d *Device) Write(pieces [][]byte) error {
	if err := d.err(); err != nil {
		return err
	}
	d.mu.Lock()
	down, failure := d.down, d.failure
	d.mu.Unlock()
	if failure != nil {
		return failure
	}
	if down {
		return tun.ErrDown
	}
	var raw []byte
	for _, piece := range pieces {
		raw = append(raw, piece...)
	}
	if len(raw) <= tun.HeaderSize || len(raw) > tun.BufferSize {
		return errors.New("not one packet behind its header")
	}
	d.put(d.out, raw)
	return nil
}

// Close ends all that reads and writes.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !isClosed(d.closed) {
		close(d.closed)
	}
	return nil
}

func (d *Device) put(c chan []byte, raw []byte) bool {
	select {
	case c <- raw:
		return true
	default:
		d.drop(1)
		return false
	}
}

func (d *Device) drop(n int) { d.mu.Lock(); d.dropped += n; d.mu.Unlock() }

func (d *Device) err() error {
	switch {
	case isClosed(d.closed):
		return os.ErrClosed
	case isClosed(d.gone):
		return tun.ErrGone
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
