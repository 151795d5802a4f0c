package dataplane

import (
	"wgd/internal/clock"
	"wgd/internal/peer"
)

// unblock stages the next frame, or flushes the packets that must be sent before
// it, so that prepare can continue. Prepare must not do that itself, because other
// jobs may be in progress.
func (e *Encapsulator) unblock(j *SealJob) {
	if p := j.stage; p != nil {
		e.stage(j, p)
	}
	if p := j.flush; p != nil {
		e.flush(j, p)
	}
	j.stage, j.flush = nil, nil
}

// stage keeps the next frame until p has a session (A42).
func (e *Encapsulator) stage(j *SealJob, p *peer.Peer) {
	frame := j.frames[j.next]
	j.next++
	e.Drops.Add(DropStaged, p.Stage(frame, j.left(frame)))
	e.want(j, p)
	// Core may have published a session, and flushed, just before this frame
	// was staged. Then no other goroutine would send it.
	if usable(p, j.now) != nil {
		e.flush(j, p)
	}
}

// flush sends what is staged for p with j, which is empty. It sends each frame
// before it takes the next one. Until the last is sent, other Encapsulators see
// that packets are staged, and send theirs afterwards (A43, B39).
func (e *Encapsulator) flush(j *SealJob, p *peer.Peer) {
	p.Flush(func(frame []byte) bool {
		for all := false; !all; {
			if !e.begin(j, p) && !j.split {
				return false
			}
			all = e.add(j, frame)
			all = !e.reserve(j) || all
			j.Seal()
			e.send(j)
		}
		return true
	})
}

// Flush sends what is staged for p, if it has a session, and reports whether
// anything was sent. No other job of e may be under way.
func (e *Encapsulator) Flush(j *SealJob, now clock.Time, p *peer.Peer) bool {
	before := j.sent
	j.reset(now, nil, e.Shared)
	if usable(p, now) != nil && p.HasStaged() {
		e.flush(j, p)
	}
	return j.sent != before
}

// Keepalive sends what is staged for p, or else an empty message (A40), and
// reports whether anything was sent. Without a session it posts Want. No other
// job of e may be under way.
func (e *Encapsulator) Keepalive(j *SealJob, now clock.Time, p *peer.Peer) bool {
	if e.Flush(j, now, p) {
		return true
	}
	before := j.sent
	if !e.begin(j, p) {
		e.want(j, p)
	} else if j.current().endpoint.IsValid() {
		j.put(0, 1, header{})
		e.reserve(j)
		j.Seal()
	}
	e.send(j)
	return j.sent != before
}
