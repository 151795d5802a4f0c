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
	// accepted (A37, §6.1). What is above it is room for the replay window.
	RejectAfterMessages uint64 = 1<<64 - 1<<13 - 1
)

// Keypair is one session: a key to send with, a key to receive with, and what
// must never happen twice with them. All methods may be called by any number of
// goroutines at once.
type Keypair struct {
	Local, Remote uint32 // receiver indices: the one peers put in data for us, and theirs
	Initiator     bool   // whether our initiation began it
	Created       clock.Time

	sent   atomic.Uint64 // the next counter; an atomic.Uint64 is aligned on 32-bit machines too (B4)
	erased atomic.Bool   // set under keys; Usable reads it without

	confirmed atomic.Bool // the peer has sent data with it

	keys sync.RWMutex // Seal and Open share it, once a batch; Erase excludes them (A35)
	send aead.Key
	recv aead.Key

	replay sync.Mutex
	window replay.Window
}

// New copies the keys; the caller zeroes its own.
func New(send, recv *[32]byte, local, remote uint32, initiator bool, created clock.Time) *Keypair {
	k := &Keypair{Local: local, Remote: remote, Initiator: initiator, Created: created}
	k.send.Set(send)
	k.recv.Set(recv)
	return k
}

// Usable reports whether the session may send and receive at now: it is not
// erased and younger than RejectAfterTime (A36). Whether there are counters
// left to send with, Reserve says.
func (k *Keypair) Usable(now clock.Time) bool {
	return now.Sub(k.Created) < RejectAfterTime && !k.erased.Load()
}

// Confirm notes that the peer has sent data on this session, new and
// authenticated: so it has the keys, and a responder may send on them (A33).
func (k *Keypair) Confirm() { k.confirmed.Store(true) }

// Confirmed reports whether Confirm was called.
func (k *Keypair) Confirmed() bool { return k.confirmed.Load() }

// Sent is how many counters were handed out so far, which is also the next one.
func (k *Keypair) Sent() uint64 { return k.sent.Load() }

// Reserve hands out n consecutive counters, of which first is the least. They
// belong to the caller alone, whether it uses them or not (A37). Where fewer
// than n are left below RejectAfterMessages it hands out none: ok is false,
// and it stays so.
func (k *Keypair) Reserve(n int) (first uint64, ok bool) {
	if n <= 0 {
		return 0, false
	}
	for {
		first = k.sent.Load()
		// Not an addition, which goes past the limit before anybody looks (B3).
		if uint64(n) > RejectAfterMessages-first {
			return 0, false
		}
		if k.sent.CompareAndSwap(first, first+uint64(n)) {
			return first, true
		}
	}
}

// Seal writes the header of each packet and seals it in place, packet i with
// the counter first+i, all of which the caller has from Reserve. It does
// nothing and returns false when the keypair is erased.
func (k *Keypair) Seal(buf []byte, packets []aead.Packet, first uint64) bool {
	if uint64(len(packets)) > RejectAfterMessages-min(first, RejectAfterMessages) {
		return false // A37: no such counters come from Reserve
	}
	k.keys.RLock()
	defer k.keys.RUnlock()
	if k.erased.Load() {
		return false
	}
	for i, p := range packets {
		if p.Len == 0 {
			continue
		}
		wire.PutDataHeader(buf[p.Off:], k.Remote, first+uint64(i))
	}
	k.send.Seal(buf, packets, first)
	return true
}

// Open decrypts the packets in place, each with the counter in its header, and
// returns how many failed: whatever follows their header is zeroed and their
// Len becomes 0. Packets whose Len is 0 already are passed over and do not
// count. An erased keypair opens none.
func (k *Keypair) Open(buf []byte, packets []aead.Packet) (failed int) {
	k.keys.RLock()
	defer k.keys.RUnlock()
	erased := k.erased.Load()
	for i := range packets {
		p := &packets[i]
		// A37, B3: the limit holds on receipt as well.
		if p.Len != 0 && (erased || p.Len < aead.MinSize || p.Counter(buf) >= RejectAfterMessages) {
			p.Refuse(buf)
			failed++
		}
	}
	if erased {
		return failed
	}
	return failed + k.recv.Open(buf, packets)
}

// Accept remembers the counters of the packets, which Open has authenticated
// (A38: a forger must not move the window). It returns how many of them had
// been accepted before or are too old: their Len becomes 0. Packets whose Len
// is 0 are passed over and do not count.
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

// consecutive reports whether the packets have the counters from first on, in
// order and without a gap, as most batches do.
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

// Erase zeroes the keys (A35), for good. It waits for Seal and Open under way;
// when it returns, nothing is sealed or opened any more. A second call does
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
