package netstack

import (
	"errors"
	"os"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"wgd/internal/packet"
)

const (
	// queueLength is how many packets or super-packets wait to be read. What
	// comes on top is dropped: the stack must not wait, for the reader of the
	// device may be the one that it works for (an ICMP answer to an ICMP error).
	queueLength = 512

	// gsoMaxSize is the largest TCP super-packet that the stack makes: what one
	// UDP train carries at the default MTU.
	gsoMaxSize = 61500
)

// device is both ends of the stack's interface: the link endpoint that the
// stack sees, and the wg.Device that the tunnel reads and writes.
type device struct {
	name string

	mu         sync.Mutex
	mtu        uint32
	waiting    sync.Cond // for queue to have something, or closed
	queue      []*stack.PacketBuffer
	closed     bool
	dispatcher stack.NetworkDispatcher
	onClose    func()
}

func newDevice(name string, mtu int) *device {
	d := &device{name: name, mtu: uint32(mtu)}
	d.waiting.L = &d.mu
	return d
}

// Name is the label that New was given.
func (d *device) Name() string { return d.name }

// Read waits for one packet (or TCP super-packet) and puts it, behind its
// virtio header, into b. os.ErrClosed after Close.
func (d *device) Read(b []byte) (n int, err error) {
	d.mu.Lock()
	for len(d.queue) == 0 && !d.closed {
		d.waiting.Wait()
	}
	p, err := d.next()
	d.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return frame(b, p), nil
}

// TryRead is Read that does not wait: ok is false when nothing is there.
func (d *device) TryRead(b []byte) (n int, ok bool, err error) {
	d.mu.Lock()
	if len(d.queue) == 0 && !d.closed {
		d.mu.Unlock()
		return 0, false, nil
	}
	p, err := d.next()
	d.mu.Unlock()
	if err != nil {
		return 0, false, err
	}
	return frame(b, p), true, nil
}

// next takes the oldest packet. The caller holds mu and knows that there is
// one, or that the device is closed.
func (d *device) next() (*stack.PacketBuffer, error) {
	if d.closed {
		return nil, os.ErrClosed
	}
	p := d.queue[0]
	d.queue[0] = nil
	d.queue = d.queue[1:]
	return p, nil
}

// frame writes the packet behind its virtio header into b, and gives it back
// to the stack.
func frame(b []byte, p *stack.PacketBuffer) (n int) {
	defer p.DecRef()
	h := virtioHeader(p)
	h.Encode(b)
	n = packet.VirtioHeaderSize
	for _, part := range p.AsSlices() {
		n += copy(b[n:], part)
	}
	return n
}

// virtioHeader says what the stack left to us: segmentation, and then the
// transport checksum too.
func virtioHeader(p *stack.PacketBuffer) (h packet.VirtioHeader) {
	gso := &p.GSOOptions
	if gso.Type == stack.GSONone {
		return h
	}
	if gso.NeedsCsum {
		h.Flags = packet.NeedsChecksum
		h.ChecksumStart = gso.L3HdrLen
		h.ChecksumOffset = gso.CsumOffset
	}
	if p.Data().Size() > int(gso.MSS) {
		h.HeaderLen = uint16(p.HeaderSize())
		h.GSOSize = gso.MSS
		h.GSOType = packet.GSOTCP4
		if gso.Type == stack.GSOTCPv6 {
			h.GSOType = packet.GSOTCP6
		}
	}
	return h
}

var errFrame = errors.New("not a packet, or TCP super-packet, behind its virtio header")

// Write gives the stack one packet (or TCP super-packet), whose first piece
// begins with the virtio header. The pieces are copied.
func (d *device) Write(pieces [][]byte) error {
	d.mu.Lock()
	dispatcher, closed := d.dispatcher, d.closed
	d.mu.Unlock()
	if closed {
		return os.ErrClosed
	}
	var h packet.VirtioHeader
	if len(pieces) == 0 || !h.Decode(pieces[0]) || h.GSOType == packet.GSOUDPL4 {
		return errFrame
	}
	total := -packet.VirtioHeaderSize
	for _, piece := range pieces {
		total += len(piece)
	}
	if dispatcher == nil || total == 0 {
		return nil
	}
	view := buffer.NewView(total)
	view.Write(pieces[0][packet.VirtioHeaderSize:])
	for _, piece := range pieces[1:] {
		view.Write(piece)
	}
	if !finishChecksum(&h, view.AsSlice()) {
		view.Release()
		return nil
	}
	protocol := header.IPv4ProtocolNumber
	if view.AsSlice()[0]>>4 == 6 {
		protocol = header.IPv6ProtocolNumber
	}
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(view)})
	defer p.DecRef()
	dispatcher.DeliverNetworkPacket(protocol, p)
	return nil
}

// finishChecksum turns the sum of the pseudo header that a joined packet has into its
// checksum: the stack believes nobody, and sums every packet itself. It reports
// whether the header's numbers lie inside the packet.
func finishChecksum(h *packet.VirtioHeader, p []byte) bool {
	if h.Flags&packet.NeedsChecksum == 0 {
		return true
	}
	start, field := int(h.ChecksumStart), int(h.ChecksumStart)+int(h.ChecksumOffset)
	if field+2 > len(p) {
		return false
	}
	sum := ^checksum.Checksum(p[start:], 0)
	if sum == 0 {
		sum = 0xffff // the same number; and 0 would mean that UDP has none
	}
	checksum.Put(p[field:], sum)
	return true
}

// MTU in bytes.
func (d *device) MTU() (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int(d.mtu), nil
}

// Close ends Read, TryRead and Write with os.ErrClosed.
func (d *device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, p := range d.queue {
		p.DecRef()
	}
	d.queue = nil
	d.waiting.Broadcast()
	return nil
}

// WritePackets takes packets of the stack into the queue.
func (d link) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, &tcpip.ErrClosedForSend{}
	}
	taken := 0
	for _, p := range list.AsSlice() {
		if len(d.queue) >= queueLength {
			break
		}
		d.queue = append(d.queue, p.IncRef())
		taken++
	}
	d.waiting.Signal()
	if taken == 0 {
		return 0, &tcpip.ErrNoBufferSpace{}
	}
	return taken, nil
}
