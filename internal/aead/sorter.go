package aead

import (
	"encoding/binary"
	"sync"
)

// A sorter collects packets of equal length, whatever their keys and buffers: a
// batch from many flows has lengths in any order, and the last packet of a
// train may be shorter.
type sorter struct {
	work    group
	buckets [4]bucket
	next    int // the bucket that was flushed last for another length
}

// A bucket holds packets of one length until a group is full.
type bucket struct {
	text        [maxLanes]*byte          // as in a group
	key         [maxLanes]*[KeySize]byte // as in a group
	tag         [maxLanes]*[TagSize]byte
	counter     [maxLanes]uint64 // as in a group
	part, index [maxLanes]int32  // where each packet is: the part, and the index in it
	len         int32            // of each packet; 0: the bucket is free
	count       int32
}

// add adds packet j of part i. It panics if the packet is not within the buffer,
// because kernels do not check bounds.
func (t *bucket) add(i, j int, part *Part, p *Packet) {
	lane := t.count & (maxLanes - 1)
	msg := p.in(part.Buf)
	text := msg[HeaderSize:]
	t.text[lane], t.tag[lane] = &text[0], (*[TagSize]byte)(text[len(text)-TagSize:])
	t.key[lane], t.counter[lane] = &part.Key.bytes, binary.LittleEndian.Uint64(msg[counterAt:])
	t.part[lane], t.index[lane] = int32(i), int32(j)
	t.count++
}

// packet returns the packet in a lane, and its part.
func (t *bucket) packet(parts []Part, lane int32) (*Packet, *Part) {
	part := &parts[t.part[lane]]
	return &part.Packets[t.index[lane]], part
}

// sorters is a pool because a sorter is too large for the stack of every
// goroutine. One in the pool contains nothing of keys and texts (A35), except key
// stream that no text was combined with.
var sorters = sync.Pool{New: func() any { return new(sorter) }}

// processGroups is process with a kernel.
func processGroups(kern *kernel, parts []Part, open bool) (failed int) {
	s := sorters.Get().(*sorter)
	failed = s.process(kern, parts, open)
	sorters.Put(s)
	return failed
}

// process sorts the packets and processes them. Afterwards the buckets are empty
// and the group is erased.
func (s *sorter) process(kern *kernel, parts []Part, open bool) (failed int) {
	t := &s.buckets[0]
	for i := range parts {
		part := &parts[i]
		for j := range part.Packets {
			p := &part.Packets[j]
			if p.Len < MinSize {
				failed += part.Key.processOne(part.Buf, p, open)
				continue
			}
			if t.len != p.Len {
				if t = s.bucket(p.Len); t.len != p.Len {
					failed += s.flush(kern, t, parts, open)
					t.len = p.Len
				}
			}
			t.add(i, j, part, p)
			if int(t.count) == kern.lanes {
				failed += s.work.process(kern, t, parts, open)
				t.count = 0
			}
		}
	}
	for i := range s.buckets {
		if t := &s.buckets[i]; t.len != 0 {
			failed += s.flush(kern, t, parts, open)
		}
	}
	s.work.erase(kern)
	return failed
}

// bucket returns the bucket with packets of that length, or a free one, or one
// that must be flushed first.
func (s *sorter) bucket(length int32) *bucket {
	for i := range s.buckets {
		if t := &s.buckets[i]; t.len == length || t.len == 0 {
			return t
		}
	}
	s.next = (s.next + 1) % len(s.buckets)
	return &s.buckets[s.next]
}

// flush processes the packets of a bucket and frees it.
func (s *sorter) flush(kern *kernel, t *bucket, parts []Part, open bool) (failed int) {
	if int(t.count) >= kern.minFor(t.len) {
		failed = s.work.process(kern, t, parts, open)
	} else {
		for lane := range t.count {
			p, part := t.packet(parts, lane)
			failed += part.Key.processOne(part.Buf, p, open)
		}
	}
	*t = bucket{}
	return failed
}

// process runs the kernel on the packets of a bucket, which must not be empty.
func (work *group) process(kern *kernel, t *bucket, parts []Part, open bool) (failed int) {
	work.text, work.key, work.counter = t.text, t.key, t.counter
	for lane := int(t.count); lane < kern.lanes; lane++ {
		work.text[lane], work.key[lane], work.counter[lane] = t.text[0], t.key[0], t.counter[0]
	}
	work.length, work.packets = uint64(t.len-MinSize), uint64(t.count)
	kern.run(work, open)
	if open {
		return work.verify(t, parts)
	}
	work.writeTags(t)
	return 0
}

// writeTags writes the tags after the texts.
func (work *group) writeTags(t *bucket) {
	for lane, tag := range t.tag[:t.count] {
		binary.LittleEndian.PutUint64(tag[:8], work.tag[0][lane])
		binary.LittleEndian.PutUint64(tag[8:], work.tag[1][lane])
	}
}

// verify compares the tags and refuses the packets whose tags differ.
func (work *group) verify(t *bucket, parts []Part) (failed int) {
	for lane, tag := range t.tag[:t.count] {
		// One comparison of both halves takes the same time wherever they
		// differ.
		if (binary.LittleEndian.Uint64(tag[:8])^work.tag[0][lane])|(binary.LittleEndian.Uint64(tag[8:])^work.tag[1][lane]) != 0 {
			p, part := t.packet(parts, int32(lane))
			p.Discard(part.Buf)
			failed++
		}
	}
	return failed
}

// erase zeroes everything derived from the keys: what the kernel left in the
// scratch, and the tags. The tag computed for a forgery would make it valid. It
// also forgets the texts and the keys, so that a sorter in the pool does not
// keep them in memory.
func (work *group) erase(kern *kernel) {
	work.text, work.key = [maxLanes]*byte{}, [maxLanes]*[KeySize]byte{}
	clear(work.tag[:])
	clear(work.scratch[:kern.dirty])
}
