package dataplane

import "wgd/internal/wire"

// What is captured (see package capture), and where. Outside: all datagrams that arrive,
// before they are opened, and those that were sent. Inside: packets that were
// authenticated, before anything else is checked, and packets whose counters are
// reserved.

// capture notes, if somebody captures, that the next piece has the packets of frame,
// unless they were captured with the piece before it.
func (j *SealJob) capture(frame []byte) {
	if j.captures == nil {
		return
	}
	if j.split {
		frame = nil
	}
	j.pieces[j.end.pieces].captured = frame
}

// captureSealing captures the frames of a section.
func (j *SealJob) captureSealing(s *sealSection) {
	pieces := j.pieces[s.start.pieces:s.end.pieces]
	j.captures.Sealing(s.peer, len(pieces), func(i int) []byte { return pieces[i].captured })
	for i := range pieces { // frames are not kept alive
		pieces[i].captured = nil
	}
}

// captureArrived captures the trains of j.
func (d *Decapsulator) captureArrived(j *OpenJob) {
	port := uint16(d.Port.Load())
	for i := range j.bs {
		j.captures.Arrived(d.Index, port, &j.bs[i])
	}
}

// captureOpened captures the authentic messages of a section.
func (j *OpenJob) captureOpened(s *openSection) {
	spans := j.spans[s.first:s.last]
	j.captures.Opened(s.entry.Peer, len(spans), func(i int) []byte {
		if spans[i].Len <= wire.MinDataSize { // dropped, or a keepalive
			return nil
		}
		start := spans[i].Off + wire.DataHeaderSize
		return s.buf[start : spans[i].Off+spans[i].Len-wire.TagSize]
	})
}
