//go:build !race

package packet

import "testing"

// Rule 10 of style: functions that run for every packet do not allocate.
func TestNoAllocations(t *testing.T) {
	for _, f := range flows {
		frame := f.super(1, fill(60000), 1372)
		var s Segments
		c := coalescer()
		var buffers [64][2048]byte
		var errBuf [MaxErrorFrame]byte
		if n := testing.AllocsPerRun(20, func() {
			s.Reset(frame)
			for i, n := 0, s.Next(); n > 0; i, n = i+1, s.Next() {
				buf := buffers[i][:VirtioHeaderSize+n]
				s.Put(buf[VirtioHeaderSize:])
				c.Add(buf)
			}
			if len(c.Flush()) < 40 {
				t.Fatal("packets were not joined")
			}
			PutError(errBuf[:], frame[VirtioHeaderSize:], Unreachable, 0)
		}); n != 0 {
			t.Errorf("%v: %v allocations, want 0", f, n)
		}
	}
}
