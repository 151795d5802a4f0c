package tun

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"wgd/internal/packet"
)

// superPackets records which kinds of super-packets an interface refuses. All its
// writers share it.
//
// The kernel granted them at the start, but may refuse them later: a filter of
// system calls may refuse a write of several pieces, memory for a large packet may
// be short, and another holder of the descriptor may have changed it. A writer
// writes a refused super-packet again, packet by packet. If that works, the packets
// were refused because they were joined. Then packets of this kind are not joined
// for a while, which is twice as long after each attempt that is refused again.
type superPackets struct {
	granted  packet.Offloads
	now      func() time.Duration // since an arbitrary moment
	tcp      superKind
	udp      superKind
	unjoined atomic.Uint64
}

// A superKind is the state of one kind of super-packet.
type superKind struct {
	retry atomic.Int64 // when it is tried again, by superPackets.now; 0: it is accepted
	mu    sync.Mutex
	pause time.Duration // the latest one
}

const (
	minPause = time.Second
	maxPause = time.Minute
	// memoryPause is the pause after a lack of memory, which may end soon.
	memoryPause = 100 * time.Millisecond
)

func newSuperPackets(caps Caps) *superPackets {
	start := time.Now()
	return &superPackets{
		granted: packet.Offloads{TCP: caps.TSO, UDP: caps.USO},
		now:     func() time.Duration { return time.Since(start) },
	}
}

// offloads implements Device.Offloads. It reads no clock unless a super-packet was
// refused.
func (s *superPackets) offloads() packet.Offloads {
	return packet.Offloads{TCP: s.granted.TCP && s.due(&s.tcp), UDP: s.granted.UDP && s.due(&s.udp)}
}

// due reports whether a kind is accepted, or to be tried again.
func (s *superPackets) due(k *superKind) bool {
	retry := k.retry.Load()
	return retry == 0 || int64(s.now()) >= retry
}

// kind returns the state of the super-packets with a gso_type of the virtio header.
func (s *superPackets) kind(gsoType byte) *superKind {
	if gsoType == packet.GSOUDPL4 {
		return &s.udp
	}
	return &s.tcp
}

// accepted records that a super-packet was accepted.
func (k *superKind) accepted() {
	if k.retry.Load() == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.retry.Store(0)
	k.pause = 0
}

// refused records that a super-packet was refused, and how many of its packets were
// then accepted singly. A super-packet that was joined before the pause, and is
// refused during it, does not make it longer.
func (s *superPackets) refused(k *superKind, why syscall.Errno, singly int) {
	s.unjoined.Add(uint64(singly))
	k.mu.Lock()
	defer k.mu.Unlock()
	now := s.now()
	if int64(now) < k.retry.Load() {
		return
	}
	pause := memoryPause
	if why != syscall.ENOMEM && why != syscall.ENOBUFS {
		k.pause = min(max(2*k.pause, minPause), maxPause)
		pause = k.pause
	}
	k.retry.Store(int64(now + pause))
}
