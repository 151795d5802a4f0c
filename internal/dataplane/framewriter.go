package dataplane

// A frameWriter writes packets to the interface in order. Single packets, such as those of
// many peers, wait for others, so that one call can write several. They lie in the
// buffers of a job, so what waits must be flushed before the job ends.
type frameWriter struct {
	tun    TUN
	each   eachTUN // nil: tun has no such call
	frames [waitingFrames][]byte
	count  int // of frames that wait
}

// waitingFrames is how many frames wait at most.
const waitingFrames = 64

// An eachTUN is a TUN that can write several packets with one call.
type eachTUN interface {
	// WriteEach writes frames, none of them a super-packet, and returns how many packets
	// were lost. It writes them in order, except for those that it has to try again, and
	// does not keep them.
	WriteEach(frames [][]byte) (failed int)
}

func newFrameWriter(t TUN) *frameWriter {
	each, _ := t.(eachTUN)
	return &frameWriter{tun: t, each: each}
}

// write writes one packet or super-packet, or keeps it until flush. It returns how many
// packets were lost, also of those that waited. Each piece belongs to one packet.
func (w *frameWriter) write(pieces [][]byte) (lost int) {
	if w.each == nil || len(pieces) > 1 {
		lost = w.flush()
		if w.tun.Write(pieces) != nil {
			lost += len(pieces)
		}
		return lost
	}
	w.frames[w.count] = pieces[0]
	if w.count++; w.count == len(w.frames) {
		return w.flush()
	}
	return 0
}

// flush writes what waits.
func (w *frameWriter) flush() (lost int) {
	if w.count == 0 {
		return 0
	}
	frames := w.frames[:w.count]
	lost = w.each.WriteEach(frames)
	clear(frames)
	w.count = 0
	return lost
}
