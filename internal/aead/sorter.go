package aead

import (
	"encoding/binary"
	"sync"
)

// A sorter collects packets of equal length: a batch from many flows has
// lengths in any order, and the last packet of a train may be shorter.
type sorter struct {
	buckets [4]bucket
	next    int // the bucket that was flushed last for another length
	work    group
}

// A bucket holds packets of one length until a group is full.
type bucket struct {
	len             int32 // of each packet; 0: the bucket is free
	count           int32
	index           [maxLanes]int32  // in the batch
	offset, counter [maxLanes]uint64 // as in a group
}

// add adds packet i of the batch, whose bytes are msg.
func (t *bucket) add(i int, p *Packet, msg []byte) {
	lane := t.count & (maxLanes - 1)
	t.index[lane] = int32(i)
	t.offset[lane] = uint64(p.Off + HeaderSize)
	t.counter[lane] = binary.LittleEndian.Uint64(msg[counterAt:HeaderSize])
	t.count++
}

// sorters is a pool because a sorter is too large for the stack of every
// goroutine. Keys and key streams in a sorter are erased before it is put back
// (A35).
var sorters = sync.Pool{New: func() any { return new(sorter) }}

// processGroups is process with a kernel.
func (k *Key) processGroups(kern *kernel, buf []byte, packets []Packet, open bool) (failed int) {
	s := sorters.Get().(*sorter)
	s.work.setKey(&k.bytes)
	t := &s.buckets[0]
	for i := range packets {
		p := &packets[i]
		if p.Len < MinSize {
			failed += k.processOne(buf, p, open)
			continue
		}
		msg := p.in(buf) // panics if out of range: kernels do not check bounds
		if t.len != p.Len {
			if t = s.bucket(p.Len); t.len != p.Len {
				failed += k.flush(kern, s, t, buf, packets, open)
				t.len = p.Len
			}
		}
		t.add(i, p, msg)
		if int(t.count) == kern.lanes {
			failed += s.work.process(kern, buf, packets, t, open)
			t.count = 0
		}
	}
	for i := range s.buckets {
		if t := &s.buckets[i]; t.len != 0 {
			failed += k.flush(kern, s, t, buf, packets, open)
		}
	}
	s.work.erase(kern)
	sorters.Put(s)
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
func (k *Key) flush(kern *kernel, s *sorter, t *bucket, buf []byte, packets []Packet, open bool) (failed int) {
	if int(t.count) >= kern.minFor(t.len) {
		failed = s.work.process(kern, buf, packets, t, open)
	} else {
		for _, i := range t.index[:t.count] {
			failed += k.processOne(buf, &packets[i], open)
		}
	}
	t.len, t.count = 0, 0
	return failed
}

// process runs the kernel on the packets of a bucket, which must not be empty.
func (work *group) process(kern *kernel, buf []byte, packets []Packet, t *bucket, open bool) (failed int) {
	work.offset, work.counter = t.offset, t.counter
	for lane := int(t.count); lane < kern.lanes; lane++ {
		work.offset[lane], work.counter[lane] = t.offset[0], t.counter[0]
	}
	work.length = uint64(t.len - MinSize)
	kern.run(work, &buf[0], open)
	if open {
		return work.verify(buf, packets, t)
	}
	work.writeTags(buf, t)
	return 0
}

// writeTags writes the tags after the texts.
func (work *group) writeTags(buf []byte, t *bucket) {
	for lane := range t.count {
		tag := work.tagOf(buf, t, lane)
		binary.LittleEndian.PutUint64(tag[:8], work.tag[0][lane])
		binary.LittleEndian.PutUint64(tag[8:], work.tag[1][lane])
	}
}

// verify compares the tags and refuses the packets whose tags differ.
func (work *group) verify(buf []byte, packets []Packet, t *bucket) (failed int) {
	for lane := range t.count {
		tag := work.tagOf(buf, t, lane)
		// One comparison of both halves takes the same time wherever they
		// differ.
		if (binary.LittleEndian.Uint64(tag[:8])^work.tag[0][lane])|(binary.LittleEndian.Uint64(tag[8:])^work.tag[1][lane]) != 0 {
			packets[t.index[lane]].Discard(buf)
			failed++
		}
	}
	return failed
}

// tagOf returns the tag in the packet of a lane.
func (work *group) tagOf(buf []byte, t *bucket, lane int32) *[TagSize]byte {
	end := t.offset[lane] + work.length
	return (*[TagSize]byte)(buf[end : end+TagSize : end+TagSize])
}

func (work *group) setKey(key *[KeySize]byte) {
	for i := range work.key {
		work.key[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
}

// erase zeroes everything derived from the key: the key itself, what the kernel
// left in the scratch, and the tags. The tag computed for a forgery would make
// it valid.
func (work *group) erase(kern *kernel) {
	clear(work.key[:])
	clear(work.tag[:])
	clear(work.scratch[:kern.dirty])
}
