package tun

import (
	"bytes"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"wgd/internal/packet"
)

// A Joiner is a Device that can tell which super-packets may be written at
// present: fewer than Caps says, for a while after one was refused.
type Joiner interface {
	Joins() packet.Offloads
	// Refused is how many packets were written singly because the super-packet
	// that they were joined to was refused. None of them was lost.
	Refused() uint64
}

// joins writes super-packets, and remembers which kinds of them are refused.
//
// The kernel has said at the start that it takes them, but not for good: a
// filter of system calls may refuse a write of several pieces, memory for a
// large packet may be short, and whoever else holds the descriptor may have
// changed it. What was refused is written once more at once, packet by packet.
// If that works it was about joining: then packets of this kind stay single for
// a while, which is twice as long after each attempt that is refused again.
type joins struct {
	granted packet.Offloads
	now     func() time.Duration // since some moment
	tcp     joining
	udp     joining
	refused atomic.Uint64
}

// joining is what is known about one kind of super-packet.
type joining struct {
	until atomic.Int64 // when it is tried again, by joins.now; 0: it is taken
	mu    sync.Mutex
	pause time.Duration // the last one
}

const (
	shortestPause = time.Second
	longestPause  = time.Minute
	// memoryPause is after an error that is about memory, which may be there in a
	// moment.
	memoryPause = 100 * time.Millisecond
)

func newJoins(caps Caps) *joins {
	start := time.Now()
	return &joins{
		granted: packet.Offloads{TCP: caps.TSO, UDP: caps.USO},
		now:     func() time.Duration { return time.Since(start) },
	}
}

// Joins is Joiner's. It reads no clock unless something was refused.
func (j *joins) Joins() packet.Offloads {
	return packet.Offloads{TCP: j.granted.TCP && j.due(&j.tcp), UDP: j.granted.UDP && j.due(&j.udp)}
}

func (j *joins) due(k *joining) bool {
	until := k.until.Load()
	return until == 0 || int64(j.now()) >= until
}

func (j *joins) Refused() uint64 { return j.refused.Load() }

// write is Device's Write through w.
func (j *joins) write(w oneWriter, pieces [][]byte) error {
	err := w.write(pieces)
	var virtio packet.VirtioHeader
	if len(pieces) == 0 || !virtio.Decode(pieces[0]) || virtio.GSOType == packet.GSONone {
		return err
	}
	kind := &j.tcp
	if virtio.GSOType == packet.GSOUDPL4 {
		kind = &j.udp
	}
	if err == nil {
		kind.taken()
		return nil
	}
	why, ok := err.(syscall.Errno)
	if !ok { // the interface is down or gone, or this is no packet
		return err
	}
	passed, failed := singly(w, pieces)
	if passed > 0 { // or it is not about joining
		kind.refuse(j.now(), why)
		j.refused.Add(uint64(passed))
		return failed
	}
	return err
}

// oneWriter is a way into the interface: one system call, no remedies.
type oneWriter interface{ write(pieces [][]byte) error }

// singly writes the packets of a super-packet, in order: how many passed, and an
// error if some did not.
func singly(w oneWriter, pieces [][]byte) (passed int, err error) {
	frame := bytes.Join(pieces, nil)
	var s packet.Segments
	if !packet.IsIP(frame[HeaderSize:]) || !s.Reset(frame) {
		return 0, errMalformed
	}
	single := make([]byte, HeaderSize+s.Next()) // the first is the longest
	for n := s.Next(); n > 0; n = s.Next() {
		s.Put(single[HeaderSize:][:n])
		if one := w.write([][]byte{single[:HeaderSize+n]}); one == nil {
			passed++
		} else if err == nil {
			err = one
		}
	}
	return passed, err
}

// taken notes that a super-packet has passed.
func (k *joining) taken() {
	if k.until.Load() == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until.Store(0)
	k.pause = 0
}

// refuse has packets of this kind stay single for a while. What was joined
// before, and is refused meanwhile, makes it no longer.
func (k *joining) refuse(now time.Duration, why syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if int64(now) < k.until.Load() {
		return
	}
	pause := memoryPause
	if why != syscall.ENOMEM && why != syscall.ENOBUFS {
		k.pause = min(max(2*k.pause, shortestPause), longestPause)
		pause = k.pause
	}
	k.until.Store(int64(now + pause))
}
