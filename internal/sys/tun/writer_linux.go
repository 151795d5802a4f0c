package tun

import (
	"bytes"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/packet"
)

// maxPieces is the maximum for one writev (UIO_MAXIOV).
const maxPieces = 1024

// A writer is a Writer. It shares a descriptor with other writers, but no lock.
type writer struct {
	queue  *queue
	supers *superPackets
	pieces []unix.Iovec
	errno  syscall.Errno
	on     func(fd uintptr) // allocated once

	// For WriteEach.
	one    [1][]byte
	frames [][]byte // what one call writes
	errnos [ringSize]syscall.Errno
	onEach func(fd uintptr)
}

func newWriter(q *queue, s *superPackets) *writer {
	w := &writer{queue: q, supers: s}
	w.on = func(fd uintptr) { w.errno = w.queue.writev(fd, w.pieces) }
	w.onEach = w.writeFrames
	return w
}

// WriteEach writes frames, none of them a super-packet, and returns how many packets
// were lost. It writes them in order, except for those that a ring did not write: these
// are written once more, after the others.
func (w *writer) WriteEach(frames [][]byte) (failed int) {
	for len(frames) > 0 {
		n := min(len(frames), ringSize)
		if n < ringWorthwhile || !w.queue.vnetHdr || !w.tryEach(frames[:n]) {
			for _, frame := range frames[:n] {
				if w.writeOne(frame) != nil {
					failed++
				}
			}
		} else {
			failed += w.again(frames[:n])
		}
		frames = frames[n:]
	}
	return failed
}

// writeOne writes one frame.
func (w *writer) writeOne(frame []byte) error {
	w.one[0] = frame
	err := w.write(w.one[:])
	w.one[0] = nil
	return err
}

// tryEach writes frames with a ring. It reports false, and has written nothing, if
// there is none, or if one of them is malformed.
func (w *writer) tryEach(frames [][]byte) bool {
	for _, frame := range frames {
		if len(frame) < HeaderSize {
			return false
		}
	}
	w.frames = frames
	err := w.queue.conn.Control(w.onEach)
	tried := w.frames == nil
	w.frames = nil
	return err == nil && tried
}

// writeFrames writes w.frames with a ring and sets w.frames to nil, if there is a ring.
func (w *writer) writeFrames(fd uintptr) {
	if r := w.queue.rings.take(); r != nil {
		r.writeAll(fd, w.frames, w.errnos[:])
		w.queue.rings.put(r)
		w.frames = nil
	}
}

// again writes those frames again, one by one, that a ring has not written, and returns
// how many failed again. If one did not, and the error is that of a ring, there are no
// rings any more.
func (w *writer) again(frames [][]byte) (failed int) {
	for i, frame := range frames {
		switch errno := w.errnos[i]; {
		case errno == 0:
		case w.writeOne(frame) != nil:
			failed++
		case ofRing(errno):
			w.queue.rings.end()
		}
	}
	return failed
}

// ofRing reports whether an error may mean that rings do not work here: the kernel is too
// old for their writes or for those that do not wait, or a filter refuses them.
func ofRing(errno syscall.Errno) bool {
	switch errno {
	case unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS, unix.EPERM, unix.EACCES, unix.EBADF:
		return true
	}
	return false
}

func (w *writer) Write(pieces [][]byte) error {
	err := w.write(pieces)
	var virtio packet.VirtioHeader
	if len(pieces) == 0 || !virtio.Decode(pieces[0]) || virtio.GSOType == packet.GSONone {
		return err
	}
	kind := w.supers.kind(virtio.GSOType)
	if err == nil {
		kind.accepted()
		return nil
	}
	why, ok := err.(syscall.Errno)
	if !ok { // the interface is down or deleted, or this is not a packet
		return err
	}
	passed, failed := w.writeSingly(pieces)
	if passed == 0 { // the reason was not that they were joined
		return err
	}
	w.supers.refused(kind, why, passed)
	return failed
}

// writeSingly writes the packets of a super-packet, in order. It returns how many
// were accepted, and the first error.
func (w *writer) writeSingly(pieces [][]byte) (passed int, err error) {
	frame := bytes.Join(pieces, nil)
	var s packet.Segments
	if !packet.IsIP(frame[HeaderSize:]) || !s.Reset(frame) {
		return 0, errMalformed
	}
	single := make([]byte, HeaderSize+s.Next()) // no segment is longer than the first
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

// write makes one system call, or more if it is interrupted or has to wait for room.
func (w *writer) write(pieces [][]byte) (err error) {
	if err := w.gather(pieces); err != nil {
		return err
	}
	err = w.queue.conn.Control(w.on)
	if err == nil && w.errno == unix.EAGAIN {
		w.errno, err = w.queue.writeWaiting(w.pieces)
	}
	clear(w.pieces) // keep no references to the caller's buffers
	return w.queue.translate(err, w.errno)
}

// gather converts the pieces to w.pieces, for one writev, or returns why they are not
// a frame. If the kernel does not use virtio headers, the header is left out.
func (w *writer) gather(pieces [][]byte) error {
	w.pieces = w.pieces[:0]
	if len(pieces) == 0 || len(pieces) > maxPieces || len(pieces[0]) < HeaderSize {
		return errMalformed
	}
	skip := 0
	if !w.queue.vnetHdr {
		if header := pieces[0][:HeaderSize]; header[0]|header[1] != 0 { // flags and gso_type
			return ErrNoOffload
		}
		skip = HeaderSize
	}
	for _, piece := range pieces {
		piece, skip = piece[skip:], 0
		if len(piece) > 0 {
			w.pieces = append(w.pieces, unix.Iovec{Base: &piece[0]})
			w.pieces[len(w.pieces)-1].SetLen(len(piece))
		}
	}
	if len(w.pieces) == 0 {
		return errMalformed
	}
	return nil
}

// writev writes the pieces with writev(2), but a single one with write(2), which
// works also where a filter refuses writev(2).
func writev(fd uintptr, pieces []unix.Iovec) (errno syscall.Errno) {
	for {
		if len(pieces) == 1 {
			_, _, errno = unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(pieces[0].Base)), uintptr(pieces[0].Len))
		} else {
			_, _, errno = unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&pieces[0])), uintptr(len(pieces)))
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}
