package live

import "math"

// A Sample is what was seen of a peer at one poll.
type Sample struct {
	RxRate, TxRate float32 // bytes in a second, since the sample before
	Age            uint32  // of the last handshake, in seconds; Never: there was none
}

// Never is the age if there was no handshake.
const Never = math.MaxUint32

// A ring keeps the last samples. It gets its memory with the first one.
type ring struct {
	list []Sample
	next int // where the next one is written, once the list is full
}

func (r *ring) filled() bool { return len(r.list) > 0 }

// add adds a sample. The first one decides how many are kept.
func (r *ring) add(s Sample, capacity int) {
	if r.list == nil {
		r.list = make([]Sample, 0, capacity)
	}
	if len(r.list) < cap(r.list) {
		r.list = append(r.list, s)
		return
	}
	r.list[r.next] = s
	r.next = (r.next + 1) % len(r.list)
}

// last returns the last n samples, or all if there are fewer, the oldest one first.
func (r *ring) last(n int) []Sample {
	n = min(n, len(r.list))
	out := make([]Sample, 0, n)
	for i := len(r.list) - n; i < len(r.list); i++ {
		out = append(out, r.list[(r.next+i)%len(r.list)])
	}
	return out
}

// Levels returns the height of each value in a plot with so many levels above zero. The
// largest value, or full if that is larger, has the highest level. Whatever is more than
// zero has at least level 1, so that a little traffic can be told from none.
func Levels(values []float64, full float64, levels int) []int {
	for _, v := range values {
		full = max(full, v)
	}
	out := make([]int, len(values))
	for i, v := range values {
		if v > 0 {
			out[i] = min(levels, max(1, int(math.Ceil(v/full*float64(levels)))))
		}
	}
	return out
}
