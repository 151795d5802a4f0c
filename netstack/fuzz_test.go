package netstack

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"wgd/internal/packet"
)

// No packet causes a panic, and the second look of holes at a packet changes nothing:
// what was hidden is hidden.
func FuzzFilter(f *testing.F) {
	sack := []byte{1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0}
	f.Add(segmentOf(false, sack))
	f.Add(segmentOf(true, append([]byte{8, 10, 1, 2, 3, 4, 5, 6, 7, 8}, sack...)))
	f.Add(segmentOf(false, append(sack, append([]byte{1, 1}, sack...)...)))
	f.Add(tooBig(segmentOf(false, nil), 1300)[packet.VirtioHeaderSize:])
	f.Add(tooBig6(segmentOf(true, nil), 1300))
	f.Fuzz(func(t *testing.T, p []byte) {
		parseTooBig(p)
		h := newHoles()
		look := func() header.TCP {
			id, segment := parseTCP(p)
			if segment != nil {
				h.filter(id, segment)
			}
			return segment
		}
		if look() == nil {
			return
		}
		first := string(p)
		if look(); string(p) != first {
			t.Errorf("the second look changed % x to % x", first, p)
		}
		id, segment := parseTCP(p)
		u, _ := newTimeouts(map[flow]time.Duration{id: time.Second})
		u.suspect(id, time.Time{})
		u.filter(id, segment)
	})
}
