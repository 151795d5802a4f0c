package packet

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Whatever the addresses, the window, the urgent pointer, the identification
// and the payload are, the checksums of segments are valid when one word at a
// time is added, and intact finds them valid. Bytes of 0xff are frequent, so
// that sums carry.
func TestSegmentsSums(t *testing.T) {
	r := rand.New(rand.NewPCG(1071, 1624))
	c := coalescer()
	for _, f := range flows {
		for i := range 600 {
			size := 1 + r.IntN(80)
			if i%2 == 0 {
				size = 1 + r.IntN(1400)
			}
			payload := make([]byte, 1+r.IntN(4*size))
			randomize(r, payload)
			frame := f.super(r.Uint32(), payload, size)
			p := frame[VirtioHeaderSize:]
			at, protocol, field := layout(p)
			if f.v6 {
				randomize(r, p[8:40])
			} else {
				randomize(r, p[4:6])
				randomize(r, p[12:20])
			}
			transport := p[at:]
			if !f.udp {
				randomize(r, transport[14:16])
				randomize(r, transport[18:20])
			}
			fixChecksums(p)
			binary.BigEndian.PutUint16(transport[field:], slowSum(slowPseudo(p, protocol, len(transport))))
			for n, p := range split(t, frame) {
				if s := fault(p); s != "" {
					t.Fatalf("%v, packet %d: %s: %x", f, n, s, p)
				}
				if s, ok := c.parse(p); !ok || !s.intact(pseudoSum(p, protocol)) {
					t.Fatalf("%v: parse or intact refuses packet %d: %x", f, n, p)
				}
			}
		}
	}
}
