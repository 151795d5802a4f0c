package e2e

import (
	"fmt"
	"testing"
	"time"

	"wgd/test/lab"
)

// Of two hundred packets before the handshake, the newest 128 arrive, in order.
// A42, B39
func TestBurstBeforeHandshake(t *testing.T) {
	t.Parallel()
	a, b := lab.Pair(t)
	ta, tb := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{Down: true}, lab.Settings{})
	// A is not up yet, so the first attempt of B fails. Its next attempt must succeed.
	in := a.Collect(4000)
	sent := b.Send(lab.Flow{Remote: addrPort("10.2.0.1:4000"), Size: 500, Count: 200})
	if sent.Sent != 200 || len(sent.Errors) > 0 {
		t.Fatalf("%d sent, refused: %v", sent.Sent, sent.Errors)
	}
	a.Must("wg-ifconfig wg0 up")
	lab.Until(t, 15*time.Second, "the handshake", func() (bool, string) {
		return !tb.Peer(ta).Handshake.IsZero(), ""
	})
	var got []lab.Arrival
	lab.Until(t, 10*time.Second, "128 packets arrive", func() (bool, string) {
		got = a.Collected(in)
		return len(got) >= 128, fmt.Sprint(len(got))
	})
	time.Sleep(300 * time.Millisecond) // for those that should not arrive
	got = a.Collected(in)
	if len(got) != 128 {
		t.Fatalf("%d packets arrived, want 128", len(got))
	}
	for i, p := range got {
		if p.Seq != uint64(72+i) {
			t.Fatalf("arrival %d has the number %d, want %d", i, p.Seq, 72+i)
		}
	}
}
