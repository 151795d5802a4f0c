package dataplane

// An outlet writes packets to the interface in order. Single packets, such as those of
// many peers, wait for others, so that one call can write several. They lie in the
// buffers of a job, so what waits must be flushed before the job ends.
type outlet struct {
	tun    TUN
	each   eachTUN // nil: tun has no such call
	frames [outletFrames][]byte
	count  int // of frames that wait
}

// outletFrames is how many frames wait at most.
const outletFrames = 64

// An eachTUN is a TUN that can write several packets with one call.
type eachTUN interface {
	// WriteEach writes frames in order, none of them a super-packet, and returns how
	// many packets were lost. It does not keep the frames.
	WriteEach(frames [][]byte) (failed int)
}

func newOutlet(t TUN) *outlet {
	each, _ := t.(eachTUN)
	return &outlet{tun: t, each: each}
}

// write writes one packet or super-packet, or keeps it until flush. It returns how many
// packets were lost, also of those that waited. Each piece belongs to one packet.
func (o *outlet) write(pieces [][]byte) (lost int) {
	if o.each == nil || len(pieces) > 1 {
		lost = o.flush()
		if o.tun.Write(pieces) != nil {
			lost += len(pieces)
		}
		return lost
	}
	o.frames[o.count] = pieces[0]
	if o.count++; o.count == len(o.frames) {
		return o.flush()
	}
	return 0
}

// flush writes what waits.
func (o *outlet) flush() (lost int) {
	if o.count == 0 {
		return 0
	}
	frames := o.frames[:o.count]
	lost = o.each.WriteEach(frames)
	clear(frames)
	o.count = 0
	return lost
}
