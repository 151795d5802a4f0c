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
	// queueLength is how many packets or super-packets can wait to be read.
	// Others are dropped. The stack must not block, because the goroutine that
	// calls it may be the reader of the device (for an ICMP reply to an ICMP
	// error, for example).
	queueLength = 512

	// gsoMaxSize is the size in bytes of the largest TCP super-packet that the
	// stack makes. At the default MTU it fits into one train of UDP datagrams.
	gsoMaxSize = 61500

	// headSize is how many bytes at the beginning of a packet have a view of
	// their own: at least the headers of IP and TCP with all options.
	headSize = 128
)

// A device connects the stack to the tunnel. For the stack it is a link
// endpoint (see link), and for the tunnel a wg.Device.
type device struct {
	name string

	mu         sync.Mutex
	mtu        uint32
	waiting    sync.Cond // until queue is not empty, or closed is set
	queue      []*stack.PacketBuffer
	closed     bool
	dispatcher stack.NetworkDispatcher
	onClose    func()

	holes    holes
	timeouts timeouts
	paths    pathMTUs
}

func newDevice(name string, mtu int) *device {
	d := &device{name: name, mtu: uint32(mtu)}
	d.waiting.L = &d.mu
	return d
}

// Name returns the name in the Options.
func (d *device) Name() string { return d.name }

// Read waits for a packet or TCP super-packet, and writes it to b, behind its
// virtio header. After Close it returns os.ErrClosed. Package wg calls it.
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
	n = frame(b, p)
	d.paths.sending(b[:n])
	return n, nil
}

// TryRead is like Read, but does not wait: ok is false if there is no packet.
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
	n = frame(b, p)
	d.paths.sending(b[:n])
	return n, true, nil
}

// next removes the oldest packet from the queue. The caller holds mu, and there
// is a packet or the device is closed.
func (d *device) next() (*stack.PacketBuffer, error) {
	if d.closed {
		return nil, os.ErrClosed
	}
	p := d.queue[0]
	d.queue[0] = nil
	d.queue = d.queue[1:]
	return p, nil
}

// frame writes the packet to b, behind its virtio header, and releases it.
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

// virtioHeader describes what the stack left to the tunnel: segmentation, and
// with it the checksum of the transport header.
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

// Write passes a packet or TCP super-packet to the stack. The first piece begins
// with the virtio header. Write copies the pieces. After Close it returns
// os.ErrClosed. Package wg calls it.
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
	head, data := views(pieces, total)
	payload := buffer.MakeWithView(head)
	if data != nil {
		payload.Append(data)
	}
	if !finishChecksum(&h, head.AsSlice(), data.AsSlice()) {
		payload.Release()
		return nil
	}
	protocol := header.IPv4ProtocolNumber
	if head.AsSlice()[0]>>4 == 6 {
		protocol = header.IPv6ProtocolNumber
	}
	id, segment := parseTCP(head.AsSlice())
	if segment != nil {
		d.holes.filter(id, segment)
		d.timeouts.filter(id, segment)
	}
	d.paths.received(head.AsSlice(), id, segment)
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: payload})
	defer p.DecRef()
	dispatcher.DeliverNetworkPacket(protocol, p)
	return nil
}

// views copies a packet of total bytes, which begins behind the virtio header.
// The headers are in a view of their own, because the stack copies the view that
// it parses. data is nil for a small packet.
func views(pieces [][]byte, total int) (head, data *buffer.View) {
	head = buffer.NewView(min(total, headSize))
	if total > headSize {
		data = buffer.NewView(total - headSize)
	}
	skip := packet.VirtioHeaderSize
	for _, piece := range pieces {
		piece = piece[skip:]
		skip = 0
		n := min(len(piece), headSize-head.Size())
		head.Write(piece[:n])
		if n < len(piece) {
			data.Write(piece[n:])
		}
	}
	return head, data
}

// finishChecksum completes a checksum of which the packet has only the sum of
// the pseudo header, because the stack verifies the checksum of every packet. It
// reports whether the positions in the virtio header are inside the headers.
func finishChecksum(h *packet.VirtioHeader, head, data []byte) bool {
	if h.Flags&packet.NeedsChecksum == 0 {
		return true
	}
	start, field := int(h.ChecksumStart), int(h.ChecksumStart)+int(h.ChecksumOffset)
	if field+2 > len(head) {
		return false
	}
	// The part in head has an even number of bytes: headSize is even, and IP
	// headers are multiples of 4 bytes.
	sum := ^checksum.Checksum(data, checksum.Checksum(head[start:], 0))
	if sum == 0 {
		sum = 0xffff // equivalent; 0 would mean that a UDP datagram has no checksum
	}
	checksum.Put(head[field:], sum)
	return true
}

// MTU returns the MTU in bytes.
func (d *device) MTU() (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int(d.mtu), nil
}

// isClosed reports whether Close was called.
func (d *device) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// Close makes Read, TryRead and Write return os.ErrClosed.
func (d *device) Close() error {
	d.holes.close()
	d.timeouts.close()
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

// WritePackets puts packets from the stack into the queue. It returns how many
// it took.
func (d link) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	d.timeouts.sent(list.AsSlice())
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
