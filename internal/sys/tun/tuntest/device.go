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

// A Device is an interface for tests. The program reads the packets that the test
// injects; the test takes the packets that the program writes with Next. As in the
// kernel, addresses and ports distinguish flows, and packets that wait in a queue that
// is detached are lost. All methods may be called concurrently.
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

	steering sync.RWMutex // guards the fields below
	attached int          // 0: all packets arrive at the first queue
	changes  int
}

var _ tun.Device = (*Device)(nil)

// depth is how many packets each queue holds, and the channel of written packets.
const depth = 1024

// New returns an interface that is up and has every offload and one queue. It holds
// 1,024 packets in each direction; packets that do not fit are dropped and counted.
func New(name string, mtu int) *Device { return NewQueues(name, mtu, 1) }

// NewQueues is New with several queues. At first all packets arrive at the first one.
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

// Inject sends a packet into the tunnel, as the host does, with an empty header before
// it: to the queue of its flow. It reports whether there was room.
func (d *Device) Inject(packet []byte) bool {
	return d.InjectRaw(append(make([]byte, tun.HeaderSize), packet...))
}

// InjectRaw is Inject for a packet that has a header.
func (d *Device) InjectRaw(raw []byte) bool {
	d.steering.RLock()
	defer d.steering.RUnlock()
	return d.put(d.queues[d.choose(raw)].in, raw)
}

// choose returns the number of the queue for a packet.
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

// Waiting returns the number of injected packets that have not been read yet.
func (d *Device) Waiting() (n int) {
	for _, q := range d.queues {
		n += len(q.in)
	}
	return n
}

// SetDown makes writes return tun.ErrDown, or work again.
func (d *Device) SetDown(down bool) { d.mu.Lock(); d.down = down; d.mu.Unlock() }

// SetMTU sets what MTU returns.
func (d *Device) SetMTU(mtu int) { d.mu.Lock(); d.mtu = mtu; d.mu.Unlock() }

// SetCaps sets what Caps and Offloads return.
func (d *Device) SetCaps(c tun.Caps) { d.mu.Lock(); d.caps = c; d.mu.Unlock() }

// FailWrites makes every Write return err, until FailWrites(nil).
func (d *Device) FailWrites(err error) { d.mu.Lock(); d.failure = err; d.mu.Unlock() }

// Delete simulates that another program deletes the interface (A62).
func (d *Device) Delete() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !isClosed(d.gone) {
		close(d.gone)
	}
}

// Dropped returns the number of packets that were lost, for lack of room or in a
// queue that was detached.
func (d *Device) Dropped() int { d.mu.Lock(); defer d.mu.Unlock(); return d.dropped }

// Changes returns how many times SetQueues was called.
func (d *Device) Changes() int {
	d.steering.RLock()
	defer d.steering.RUnlock()
	return d.changes
}

// Attached returns the number of queues at which packets arrive.
func (d *Device) Attached() int {
	d.steering.RLock()
	defer d.steering.RUnlock()
	return max(d.attached, 1)
}

// Name returns the name that New was given.
func (d *Device) Name() string { return d.name }

// MTU returns what New or SetMTU was given.
func (d *Device) MTU() (int, error) { d.mu.Lock(); defer d.mu.Unlock(); return d.mtu, nil }

// Caps returns every offload, or what SetCaps was given.
func (d *Device) Caps() tun.Caps { d.mu.Lock(); defer d.mu.Unlock(); return d.caps }

// Offloads returns those of Caps: this interface never refuses super-packets.
func (d *Device) Offloads() packet.Offloads {
	c := d.Caps()
	return packet.Offloads{TCP: c.TSO, UDP: c.USO}
}

// Unjoined returns 0.
func (d *Device) Unjoined() uint64 { return 0 }

// NetNS returns errors.ErrUnsupported: the interface is in no namespace.
func (d *Device) NetNS() (*os.File, error) { return nil, errors.ErrUnsupported }

// NewWriter returns the device itself, whose Write may be called concurrently.
func (d *Device) NewWriter() tun.Writer { return d }

// Write implements tun.Writer.
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

// Close makes all reads and writes return os.ErrClosed.
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
