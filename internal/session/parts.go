package session

import "wgd/internal/aead"

// Parts are packets of several keypairs that one call seals or opens: aead then
// processes packets with different keys together. Of a packet, it makes no
// difference whether its keypair alone seals or opens it.
//
// The keys of all these keypairs are held at once, and none of them is waited
// for (see hold). Otherwise two calls with the keypairs A and B, in different
// orders, would never end if both are erased meanwhile: each call holds the keys
// that the one Erase waits for, and waits behind the other Erase.
//
// Only one goroutine may use Parts at a time. They are reused: both calls leave
// them empty.
type Parts struct {
	list []part
	work []aead.Part // of the list; during a call, those whose keys are held
	held []bool      // of the list: whether the keys are held
}

// A part is packets of one keypair.
type part struct {
	keypair *Keypair
	first   uint64 // counter, to seal with
}

// NewParts returns Parts that allocate nothing for up to n additions.
func NewParts(n int) *Parts {
	return &Parts{list: make([]part, 0, n), work: make([]aead.Part, 0, n), held: make([]bool, 0, n)}
}

// Add adds packets of k, which may have others already. To be sealed, packet i
// gets the counter first+i; the caller has reserved these counters.
func (p *Parts) Add(k *Keypair, buf []byte, packets []aead.Packet, first uint64) {
	p.list = append(p.list, part{k, first})
	p.work = append(p.work, aead.Part{Buf: buf, Packets: packets})
}

// Seal is Keypair.Seal for each part. It returns what that returns for each, in
// the order of Add; the slice is valid until the next call.
func (p *Parts) Seal() (sealed []bool) {
	p.held = p.held[:0]
	defer p.release()
	n := 0
	for i := range p.list {
		k, first, w := p.list[i].keypair, p.list[i].first, p.work[i]
		held := countersFor(len(w.Packets), first) && k.hold()
		p.held = append(p.held, held)
		if held {
			k.putHeaders(w.Buf, w.Packets, first)
			w.Key = &k.send
			p.work[n] = w
			n++
		}
	}
	aead.Seal(p.work[:n])
	return p.held
}

// Open is Keypair.Open for each part. It returns how many packets of all parts
// failed.
func (p *Parts) Open() (failed int) {
	p.held = p.held[:0]
	defer p.release()
	n := 0
	for i := range p.list {
		k, w := p.list[i].keypair, p.work[i]
		held := k.hold()
		p.held = append(p.held, held)
		failed += refuse(w.Buf, w.Packets, !held)
		if held {
			w.Key = &k.recv
			p.work[n] = w
			n++
		}
	}
	return failed + aead.Open(p.work[:n])
}

// release unlocks the keys that are held, and empties p, so that it keeps no
// keypairs and buffers alive.
func (p *Parts) release() {
	for i, held := range p.held {
		if held {
			p.list[i].keypair.keys.RUnlock()
		}
	}
	clear(p.list)
	clear(p.work)
	p.list, p.work = p.list[:0], p.work[:0]
}
