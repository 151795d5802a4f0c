package tuntest

import (
	"fmt"
	"os"
	"time"

	"wgd/internal/sys/tun"
)

// A queue is a tun.Queue of a Device.
type queue struct {
	device *Device
	in     chan []byte
}

// Queue implements tun.Queues.
func (d *Device) Queue(i int) tun.Queue { return d.queues[i] }

// SetQueues implements tun.Queues.
func (d *Device) SetQueues(n int) error {
	if n < 1 || n > len(d.queues) {
		return fmt.Errorf("%d queues requested, of 1 to %d", n, len(d.queues))
	}
	d.steering.Lock()
	defer d.steering.Unlock()
	d.attached = n
	d.changes++
	for _, q := range d.queues[n:] {
		for len(q.in) > 0 {
			<-q.in
			d.drop(1)
		}
	}
	return nil
}

// SteerToFirst implements tun.Queues.
func (d *Device) SteerToFirst() bool {
	d.steering.Lock()
	defer d.steering.Unlock()
	d.attached = 0
	return true
}

// QueueLength returns 1,024.
func (d *Device) QueueLength() int { return depth }

// Read reads from the first queue.
func (d *Device) Read(b []byte) (int, error) { return d.queues[0].Read(b) }

// TryRead reads from the first queue.
func (d *Device) TryRead(b []byte) (int, bool, error) { return d.queues[0].TryRead(b) }

func (q *queue) Read(b []byte) (int, error) {
	if err := q.device.err(); err != nil {
		return 0, err
	}
	select {
	case raw := <-q.in:
		return copy(b, raw), nil
	case <-q.device.closed:
		return 0, os.ErrClosed
	case <-q.device.gone:
		return 0, tun.ErrGone
	}
}

func (q *queue) TryRead(b []byte) (int, bool, error) {
	if err := q.device.err(); err != nil {
		return 0, false, err
	}
	select {
	case raw := <-q.in:
		return copy(b, raw), true, nil
	default:
		return 0, false, nil
	}
}

// Wait polls, because a channel cannot be waited on without a receive.
func (q *queue) Wait() error {
	const pause = 50 * time.Microsecond
	for len(q.in) == 0 {
		switch err := q.device.err(); err {
		case nil:
			time.Sleep(pause)
		case tun.ErrGone:
			return nil
		default:
			return err
		}
	}
	return nil
}
