package dataplane

import (
	"wgd/internal/aead"
	"wgd/internal/batch"
	"wgd/internal/capture"
	"wgd/internal/clock"
	"wgd/internal/index"
	"wgd/internal/packet"
	"wgd/internal/session"
)

// An OpenJob is one batch on the receive path. Its messages are decrypted in the
// buffer in which they were received, and written to the interface from there. A
// goroutine has one OpenJob and reuses it for every batch.
type OpenJob struct {
	shared *Shared
	now    clock.Time

	captures *capture.Set // nil: nobody captures

	bs             []batch.Batch // of one read
	train, message int           // of bs: the first message that the job has not taken yet

	spans    [maxPackets]aead.Packet
	trains   [maxPackets]int32 // indices in bs of their trains
	packets  int
	sections [maxPackets]openSection
	count    int            // of sections
	parts    *session.Parts // of the sections
	received uint64         // authentic and new messages of the sections

	joined packet.Coalescer
}

// An openSection is a run of messages of one session in one buffer.
type openSection struct {
	buf         []byte
	index       uint32       // of the session
	first, last int          // spans, the last not included
	entry       *index.Entry // nil: there is no usable session
}

// begin begins another section.
func (j *OpenJob) begin(buf []byte, index uint32) {
	j.end()
	s := &j.sections[j.count]
	s.buf, s.index, s.first = buf, index, j.packets
	j.count++
}

// end ends the last section.
func (j *OpenJob) end() {
	if j.count > 0 {
		j.sections[j.count-1].last = j.packets
	}
}

// takes reports whether a message in buf to that index belongs to s.
func (s *openSection) takes(buf []byte, index uint32) bool {
	return index == s.index && &buf[0] == &s.buf[0]
}

// empty resets j for more messages, after all of its sections were delivered.
func (j *OpenJob) empty() {
	for i := range j.sections[:j.count] { // buffers, peers and keys are not kept alive
		j.sections[i].buf, j.sections[i].entry = nil, nil
	}
	j.count, j.packets = 0, 0
}

// Open authenticates and decrypts the messages in place, those of all sections in one
// call, so that messages of several sessions are processed together. Any goroutine may
// call it, at any time between Prepare and Deliver.
func (j *OpenJob) Open() {
	sections := j.sections[:j.count]
	if len(sections) == 1 { // as in most jobs
		s := &sections[0]
		if s.entry = j.session(s); s.entry != nil {
			j.shared.Drops.Add(DropForged, s.entry.Keypair.Open(s.buf, j.spans[s.first:s.last]))
		}
		return
	}
	for i := range sections {
		s := &sections[i]
		if s.entry = j.session(s); s.entry != nil {
			j.parts.Add(s.entry.Keypair, s.buf, j.spans[s.first:s.last], 0)
		}
	}
	j.shared.Drops.Add(DropForged, j.parts.Open())
}

// session returns the session of a section. If there is none, it drops the messages
// and returns nil.
func (j *OpenJob) session(s *openSection) *index.Entry {
	entry := j.shared.Index.Lookup(s.index)
	if entry == nil || entry.Keypair == nil {
		j.shared.Drops.Add(DropNoSession, s.last-s.first)
		if entry == nil {
			j.report(s)
		}
		return nil
	}
	if !entry.Keypair.Usable(j.now) { // A36
		j.shared.Drops.Add(DropExpired, s.last-s.first)
		return nil
	}
	return entry
}

// report reports the senders of a section whose index is nobody's.
func (j *OpenJob) report(s *openSection) {
	if !j.shared.Unknown.Active() {
		return
	}
	last := int32(-1)
	for _, train := range j.trains[s.first:s.last] {
		if train != last {
			last = train
			j.shared.Unknown.Session(j.now, j.bs[train].Remote)
		}
	}
}
