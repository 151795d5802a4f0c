package capture

import (
	"encoding/binary"

	"wgd/internal/packet"
	"wgd/internal/peer"
)

const (
	// ringBytes is the memory for the packets of a capture: at least 60 super-packets.
	ringBytes = 4 << 20
	// ringRecords is how many trains and sections of packets it may hold.
	ringRecords = 8192

	prefixBytes = 4 // the length before each packet
)

// A kind says what the packets of a record are.
type kind uint8

const (
	datagrams kind = iota // payloads of UDP
	opened                // IP packets, perhaps with padding
	sealing               // frames, see package packet
)

func (k kind) inner() bool { return k != datagrams }

// A record is what packets have in common that were captured at once.
type record struct {
	at      int64 // Unix nanoseconds
	kind    kind
	inbound bool
	peer    *peer.Peer            // nil: not known
	header  packet.DatagramHeader // of datagrams

	lost  uint64 // packets of the same interface that were lost before
	bytes int    // in the ring
}

// A ring holds captured packets until they are written: records, and the packets
// themselves, each behind its length. The hub's lock guards it. What take has returned
// may be read without the lock until release.
type ring struct {
	data       []byte
	head, tail uint64 // positions in data, not reduced
	records    []record
	first, end uint64 // positions in records, not reduced

	now  record // the record in progress
	fits bool   // there is a place for it, and for all of its packets so far
	at   uint64 // end of its packets

	received, lost [2]uint64 // packets, by kind.inner
	unreported     [2]uint64 // of lost: those that no record has yet

	waiting chan struct{} // receives a token when the ring is not empty any more
	filling chan struct{} // receives a token when it is half full
}

func newRing() *ring {
	return &ring{
		data: make([]byte, ringBytes), records: make([]record, ringRecords),
		waiting: make(chan struct{}, 1), filling: make(chan struct{}, 1),
	}
}

// side returns the index in the counters.
func (k kind) side() int {
	if k.inner() {
		return 1
	}
	return 0
}

// begin begins a record.
func (r *ring) begin(next record) {
	r.now, r.at = next, r.head
	r.now.lost = r.unreported[next.kind.side()]
	r.fits = r.end-r.first < uint64(len(r.records))
}

// add adds a packet to the record in progress, or counts it as lost.
func (r *ring) add(p []byte) {
	n, side := uint64(1), r.now.kind.side()
	if r.now.kind == sealing {
		n = packetsOf(p)
	}
	r.received[side] += n
	if !r.fits || r.at+uint64(prefixBytes+len(p))-r.tail > uint64(len(r.data)) {
		r.fits = false // so that what is missing is between two records
		r.lost[side] += n
		r.unreported[side] += n
		return
	}
	var prefix [prefixBytes]byte
	binary.LittleEndian.PutUint32(prefix[:], uint32(len(p)))
	r.put(prefix[:])
	r.put(p)
}

func (r *ring) put(b []byte) {
	at := r.at % uint64(len(r.data))
	n := copy(r.data[at:], b)
	copy(r.data, b[n:])
	r.at += uint64(len(b))
}

// commit ends the record in progress, if it has packets, and wakes the reader.
func (r *ring) commit() {
	if r.at == r.head {
		return
	}
	r.unreported[r.now.kind.side()] -= r.now.lost
	r.now.bytes = int(r.at - r.head)
	r.records[r.end%uint64(len(r.records))] = r.now
	r.end++
	r.head = r.at
	wake(r.waiting)
	if r.head-r.tail > uint64(len(r.data)/2) || r.end-r.first > uint64(len(r.records)/2) {
		wake(r.filling)
	}
}

func wake(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// next returns the oldest record, or false if there is none. Its packets begin at
// position at.
func (r *ring) next() (oldest record, at uint64, ok bool) {
	if r.first == r.end {
		return oldest, 0, false
	}
	return r.records[r.first%uint64(len(r.records))], r.tail, true
}

// release frees the place of the oldest record.
func (r *ring) release(oldest *record) {
	r.records[r.first%uint64(len(r.records))] = record{} // the peer is not kept alive
	r.first++
	r.tail += uint64(oldest.bytes)
}

// copyTo appends n bytes from position at to b.
func (r *ring) copyTo(b []byte, at uint64, n int) []byte {
	i := int(at % uint64(len(r.data)))
	part := min(n, len(r.data)-i)
	b = append(b, r.data[i:i+part]...)
	return append(b, r.data[:n-part]...)
}

// packetsOf returns how many packets a frame has.
func packetsOf(frame []byte) uint64 {
	var s packet.Segments
	if !s.Reset(frame) {
		return 1
	}
	return uint64(s.Remaining())
}
