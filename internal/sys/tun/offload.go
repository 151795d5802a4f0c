package tun

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"wgd/internal/packet"
)

// superPackets remembers which kinds of super-packets an interface refuses. All
// its writers share one.
//
// The kernel has said at the start that it takes them, but not for good: a filter
// of system calls may refuse a write of several pieces, memory for a large packet
// may be short, and whoever else holds the descriptor may have changed it. A
// writer writes what was refused once more, packet by packet. If that works, the
// packets were refused because they were joined. Then packets of this kind stay
// single for a while, which is twice as long after each attempt that is refused
// again.
type superPackets struct {
	granted  packet.Offloads
	now      func() time.Duration // since some moment
	tcp      superKind
	udp      superKind
	unjoined atomic.Uint64
}

// superKind is what is known about one kind of super-packet.
type superKind struct {
	retry atomic.Int64 // when it is tried again, by superPackets.now; 0: it is taken
	mu    sync.Mutex
	pause time.Duration // the last one
}

const (
	minPause = time.Second
	maxPause = time.Minute
	// memoryPause is after an error that is about memory, which may be there in a
	// moment.
	memoryPause = 100 * time.Millisecond
)

func newSuperPackets(caps Caps) *superPackets {
	start := time.Now()
	return &superPackets{
		granted: packet.Offloads{TCP: caps.TSO, UDP: caps.USO},
		now:     func() time.Duration { return time.Since(start) },
	}
}

// offloads is Device's Offloads. It reads no clock unless something was refused.
func (s *superPackets) offloads() packet.Offloads {
	return packet.Offloads{TCP: s.granted.TCP && s.due(&s.tcp), UDP: s.granted.UDP && s.due(&s.udp)}
}

func (s *superPackets) due(k *superKind) bool {
	retry := k.retry.Load()
	return retry == 0 || int64(s.now()) >= retry
}

// kind is what is known about super-packets of a type of the virtio header.
func (s *superPackets) kind(gsoType byte) *superKind {
	if gsoType == packet.GSOUDPL4 {
		return &s.udp
	}
	return &s.tcp
}

// passed notes that a super-packet was taken.
func (k *superKind) accepted() {
	if k.retry.Load() == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.retry.Store(0)
	k.pause = 0
}

// refused notes that a super-packet was refused, of which the kernel took so many
// packets singly. A super-packet that was joined before the kind is paused, and is
// refused during the pause, does not make the pause longer.
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
