package wg

import (
	"errors"
	"os"

	"wgd/internal/packet"
	"wgd/internal/sys/tun"
)

// Device is something other than the kernel to give packets to and take them
// from: each behind a virtio header of 10 bytes (struct virtio_net_hdr), which
// may say that a packet is many TCP segments joined. Package netstack has one.
type Device interface {
	Name() string
	MTU() (int, error)
	Read(b []byte) (n int, err error)
	TryRead(b []byte) (n int, ok bool, err error)
	Write(pieces [][]byte) error
	Close() error
}

// device is a Device as the engine wants it: an interface with one queue.
type device struct{ Device }

func (device) Caps() tun.Caps { return tun.Caps{VnetHdr: true, TSO: true, Queues: 1} }

// Offloads are for a stack, which takes TCP segments joined: they are one stream to
// it. Joined UDP datagrams would be one datagram to it.
func (device) Offloads() packet.Offloads { return packet.Offloads{TCP: true} }
func (device) Unjoined() uint64          { return 0 }

func (d device) Queue(int) tun.Queue   { return queue(d) }
func (device) SetQueues(int) error     { return nil }
func (device) SteerToFirst() bool      { return true }
func (device) QueueLength() int        { return 0 }
func (d device) NewWriter() tun.Writer { return d.Device }

func (device) NetNS() (*os.File, error) { return nil, errors.ErrUnsupported }

// queue is the only one of a Device. Nobody waits for a packet without reading it
// where there are no other queues.
type queue struct{ Device }

func (queue) Wait() error { return errors.ErrUnsupported }
