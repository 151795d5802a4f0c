package capture

import (
	"context"
	"encoding/binary"
	"io"
	"time"

	"wgd/internal/packet"
	"wgd/internal/pcapng"
	"wgd/internal/peer"
)

const (
	// gatherTime is how long packets wait for others, unless the ring is half full, so
	// that the goroutine of the reader, and the reader, are not woken for each batch.
	gatherTime = 50 * time.Millisecond

	// WriteBytes is how much is written at once, unless the ring is empty. A write that
	// large means that more than about 5 MB are captured in a second.
	WriteBytes = 256 << 10

	// maxComments is how many peers' comments are kept.
	maxComments = 4096
)

// Stream writes the capture to w, from the header on, until ctx is done; then it ends
// the capture and writes what is still in the ring, and the statistics. It returns the
// first error of w. The capture must have begun.
func (c *Capture) Stream(ctx context.Context, w io.Writer) error {
	s := stream{capture: c, w: w, start: c.clock(), comments: map[*peer.Peer]string{}}
	defer c.free()
	if err := s.begin(); err != nil {
		return err
	}
	for gather(ctx, c.ring) {
		if err := s.drain(ctx); err != nil {
			return err
		}
	}
	c.hub.end(c)
	if err := s.drain(context.Background()); err != nil {
		return err
	}
	return s.end()
}

// free frees the memory of the capture, to which a job of the data plane may still
// refer.
func (c *Capture) free() {
	c.hub.end(c)
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.ring, c.waiting = nil, nil
}

// gather waits for packets. It returns false if ctx is done.
func gather(ctx context.Context, r *ring) bool {
	select {
	case <-r.waiting:
	case <-ctx.Done():
		return false
	}
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	select {
	case <-r.filling:
	case <-timer.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// A stream is the state of the goroutine of the reader.
type stream struct {
	capture  *Capture
	w        io.Writer
	start    int64
	out      []byte // blocks that are not written yet
	raw      []byte // the packets of a record
	one      []byte // a packet with its headers
	comments map[*peer.Peer]string
}

// begin writes the header and the descriptions of the interfaces.
func (s *stream) begin() error {
	o := &s.capture.options
	head := pcapng.Section{Application: "wgd"}
	if s.capture.onePeer {
		head.Comment = "peer " + o.Name
	}
	s.out = pcapng.AppendSection(s.out, &head)
	if o.Outer {
		s.out = pcapng.AppendInterface(s.out, &pcapng.Interface{
			Name:        o.Interface + " outer",
			Description: "UDP datagrams of the tunnel, encrypted. Their payload is that of the wire; wgd made the IP and UDP headers from what it knows",
		})
	}
	if o.Inner {
		s.out = pcapng.AppendInterface(s.out, &pcapng.Interface{
			Name:        o.Interface + " inner",
			Description: "IP packets inside the tunnel",
		})
	}
	return s.flush()
}

// end writes the statistics.
func (s *stream) end() error {
	c := s.capture
	now := c.clock()
	c.hub.mu.Lock()
	received, lost := c.ring.received, c.ring.lost
	c.hub.mu.Unlock()
	for side, wanted := range []bool{c.outer, c.inner} {
		if wanted {
			s.out = pcapng.AppendStatistics(s.out, &pcapng.Statistics{
				Interface: s.number(side), Start: s.start, End: now, Received: received[side], Dropped: lost[side],
			})
		}
	}
	return s.flush()
}

// number returns the number of the interface for a side: see kind.side.
func (s *stream) number(side int) uint32 {
	if !s.capture.outer {
		return 0
	}
	return uint32(side)
}

// drain writes what is in the ring, until it is empty or ctx is done.
func (s *stream) drain(ctx context.Context) error {
	c := s.capture
	for {
		c.hub.mu.Lock()
		oldest, at, ok := c.ring.next()
		c.hub.mu.Unlock()
		if !ok || ctx.Err() != nil {
			return s.flush()
		}
		s.raw = c.ring.copyTo(s.raw[:0], at, oldest.bytes)
		c.hub.mu.Lock()
		c.ring.release(&oldest)
		c.hub.mu.Unlock()
		s.convert(&oldest)
		if len(s.out) >= WriteBytes {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
}

func (s *stream) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.w.Write(s.out)
	s.out = s.out[:0]
	return err
}

// convert appends the packets of a record as blocks.
func (s *stream) convert(r *record) {
	p := pcapng.Packet{
		Interface: s.number(r.kind.side()), Time: r.at, Direction: pcapng.Outbound, Drops: r.lost, Comment: s.comment(r.peer),
	}
	if r.inbound {
		p.Direction = pcapng.Inbound
	}
	for raw := s.raw; len(raw) > 0; {
		n := binary.LittleEndian.Uint32(raw)
		item := raw[prefixBytes : prefixBytes+n]
		raw = raw[prefixBytes+n:]
		switch r.kind {
		case datagrams:
			s.one = packet.AppendDatagram(s.one[:0], &r.header, item)
			s.append(&p, s.one)
		case opened:
			if n, ok := packet.Length(item); ok { // without the padding
				item = item[:n]
			}
			s.append(&p, item)
		case sealing:
			s.split(&p, item)
		}
	}
}

// split appends the packets of a frame.
func (s *stream) split(p *pcapng.Packet, frame []byte) {
	var segments packet.Segments
	if !segments.Reset(frame) {
		return
	}
	for n := segments.Next(); n > 0; n = segments.Next() {
		s.one = append(s.one[:0], make([]byte, n)...)
		segments.Put(s.one)
		s.append(p, s.one)
	}
}

func (s *stream) append(p *pcapng.Packet, data []byte) {
	p.Data = data
	s.out = pcapng.AppendPacket(s.out, p)
	p.Drops = 0 // they were before the first packet of the record
}

// comment returns the comment on packets of p. If all are of one peer, the head of the
// capture names it.
func (s *stream) comment(p *peer.Peer) string {
	if p == nil || s.capture.onePeer {
		return ""
	}
	text, ok := s.comments[p]
	if !ok {
		if len(s.comments) == maxComments {
			clear(s.comments)
		}
		text = "peer " + s.capture.options.NameOf(p)
		s.comments[p] = text
	}
	return text
}
