package session

import (
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/aead"
	"wgd/internal/clock"
	"wgd/internal/replay"
	"wgd/internal/wire"
)

const (
	// RejectAfterTime is the age from which a key neither sends nor receives
	// (A36, §6.1).
	RejectAfterTime = 180 * time.Second

	// RejectAfterMessages is the first counter that is neither sent nor
	// accepted (A37, §6.1). The values above it leave space for the replay
	// window.
	RejectAfterMessages uint64 = 1<<64 - 1<<13 - 1
)

// A Keypair is one session: a key to send with, a key to receive with, the
// counters already sent and those already received. Its methods are safe for
// concurrent use.
type Keypair struct {
	Local, Remote uint32 // receiver indices: in data for us, in data for the peer
	Initiator     bool   // whether our initiation began the session
	Created       clock.Time

	sent   atomic.Uint64 // the next counter; an atomic.Uint64 is aligned on 32-bit machines too (B4)
	erased atomic.Bool   // written with keys held; Usable reads it without

	confirmed atomic.Bool // the peer has sent data on this session

	keys sync.RWMutex // Seal and Open read-lock it once per batch, see hold; Erase excludes them (A35)
	send aead.Key
	recv aead.Key

	replay sync.Mutex
	window replay.Window
}

// New returns a session with copies of the keys; the caller zeroes its own.
func New(send, recv *[32]byte, local, remote uint32, initiator bool, created clock.Time) *Keypair {
	k := &Keypair{Local: local, Remote: remote, Initiator: initiator, Created: created}
	k.send.Set(send)
	k.recv.Set(recv)
	return k
}

// Usable reports whether the session may send and receive at now: it is not
// erased and is younger than RejectAfterTime (A36). Whether counters are left
// to send with, Reserve reports.
func (k *Keypair) Usable(now clock.Time) bool {
	return now.Sub(k.Created) < RejectAfterTime && !k.erased.Load()
}

// Confirm records that the peer has sent new, authenticated data on this
// session. The peer therefore has the keys, and a responder may send with them
// (A33).
func (k *Keypair) Confirm() { k.confirmed.Store(true) }

// Confirmed reports whether Confirm was called.
func (k *Keypair) Confirmed() bool { return k.confirmed.Load() }

// Sent returns how many counters have been reserved, which is also the next
// counter.
func (k *Keypair) Sent() uint64 { return k.sent.Load() }

// Reserve returns the first of n consecutive counters. They belong to the
// caller alone, whether it uses them or not (A37). If fewer than n are left
// below RejectAfterMessages, Reserve takes none and returns false.
func (k *Keypair) Reserve(n int) (first uint64, ok bool) {
	if n <= 0 {
		return 0, false
	}
	for {
		first = k.sent.Load()
		// Subtract, because an addition could overflow before the comparison (B3).
		if uint64(n) > RejectAfterMessages-first {
			return 0, false
		}
		if k.sent.CompareAndSwap(first, first+uint64(n)) {
			return first, true
		}
	}
}

// Seal writes the header of each packet and encrypts the packet in place,
// packet i with the counter first+i. The caller has reserved these counters.
// If the keypair is erased, or about to be, Seal does nothing and returns false.
func (k *Keypair) Seal(buf []byte, packets []aead.Packet, first uint64) bool {
	if !countersFor(len(packets), first) || !k.hold() {
		return false
	}
	defer k.keys.RUnlock()
	k.putHeaders(buf, packets, first)
	k.send.Seal(buf, packets, first)
	return true
}

// hold read-locks the keys, so that Erase waits, and reports whether there are
// any. The caller unlocks them if hold returns true. hold does not wait: only
// Erase locks them for writing, so whoever waits finds no keys. And whoever
// waits while it holds the keys of other keypairs may wait forever (see Parts).
func (k *Keypair) hold() bool {
	if !k.keys.TryRLock() {
		return false
	}
	if k.erased.Load() {
		k.keys.RUnlock()
		return false
	}
	return true
}

// countersFor reports whether there are counters for n packets from first on
// (A37): Reserve returns no others.
func countersFor(n int, first uint64) bool {
	return uint64(n) <= RejectAfterMessages-min(first, RejectAfterMessages)
}

// putHeaders writes the header of each packet, that of packet i with the counter
// first+i.
func (k *Keypair) putHeaders(buf []byte, packets []aead.Packet, first uint64) {
	for i, p := range packets {
		if p.Len != 0 {
			wire.PutDataHeader(buf[p.Off:], k.Remote, first+uint64(i))
		}
	}
}

// Open decrypts the packets in place, each with the counter in its header, and
// returns how many failed. Of those, everything after the header is zeroed and
// Len becomes 0. Open skips packets whose Len is 0 already and does not count
// them. A keypair that is erased, or about to be, opens none.
func (k *Keypair) Open(buf []byte, packets []aead.Packet) (failed int) {
	if !k.hold() {
		return refuse(buf, packets, true)
	}
	defer k.keys.RUnlock()
	failed = refuse(buf, packets, false)
	return failed + k.recv.Open(buf, packets)
}

// refuse discards the packets that must not be opened, or all of them, and returns
// how many.
func refuse(buf []byte, packets []aead.Packet, all bool) (refused int) {
	for i := range packets {
		p := &packets[i]
		// A37, B3: the limit also holds for received counters.
		if p.Len != 0 && (all || p.Len < aead.MinSize || p.Counter(buf) >= RejectAfterMessages) {
			p.Discard(buf)
			refused++
		}
	}
	return refused
}

// Accept records the counters of packets that Open has authenticated (A38: a
// forger must not move the window). It returns how many of them had been
// accepted before or are too old, and sets their Len to 0. It skips packets
// whose Len is 0 and does not count them.
func (k *Keypair) Accept(buf []byte, packets []aead.Packet) (replays int) {
	k.replay.Lock()
	defer k.replay.Unlock()
	if first, ok := consecutive(buf, packets); ok && k.window.AcceptRun(first, len(packets)) {
		return 0
	}
	for i := range packets {
		p := &packets[i]
		if p.Len != 0 && !k.window.Accept(p.Counter(buf)) {
			p.Len = 0
			replays++
		}
	}
	return replays
}

// consecutive reports whether the counters of the packets rise by one from
// first on, as in most batches.
func consecutive(buf []byte, packets []aead.Packet) (first uint64, ok bool) {
	for i, p := range packets {
		if p.Len == 0 {
			return 0, false
		}
		counter := p.Counter(buf)
		if i == 0 {
			first = counter
		}
		if counter != first+uint64(i) {
			return 0, false
		}
	}
	return first, len(packets) > 0
}

// Erase zeroes the keys (A35). It waits for calls of Seal and Open in progress;
// after it has returned, nothing is sealed or opened. A second call does
// nothing.
func (k *Keypair) Erase() {
	k.keys.Lock()
	defer k.keys.Unlock()
	if k.erased.Swap(true) {
		return
	}
	k.send.Erase()
	k.recv.Erase()
}
