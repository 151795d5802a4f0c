package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/internal/wire"
)

// newChecked is New, and checks what must hold in every test:
//
//   - counters increase, and none is used twice (A37);
//   - handshake messages have AF41, data messages no DSCP (A56);
//   - data messages are padded, or keepalives (A40, A45, B14);
//   - at the end there are indices only for sessions (A31) and at most one handshake of
//     each peer (B29).
func newChecked(t *testing.T, seed uint64) *Internet {
	t.Helper()
	n := New(seed)
	type session struct {
		host  *Host
		life  int
		index uint32
	}
	next := map[session]uint64{}
	n.Tap = func(from *Host, d *Datagram) {
		if d.Type() == 0 {
			t.Errorf("%v: host %d sent a datagram that is not a message: %x", n.Now(), from.Name, d.Data[:min(len(d.Data), 32)])
			return
		}
		if d.Type() != wire.TypeData {
			if d.TOS != 0x88 {
				t.Errorf("%v: a %v has TOS %#x, want 0x88", n.Now(), d.Type(), d.TOS)
			}
			return
		}
		if d.TOS != 0 {
			t.Errorf("%v: a data message has TOS %#x, want 0", n.Now(), d.TOS)
		}
		if len(d.Data)%16 != 0 && len(d.Data) < 65507 && len(d.Data)-wire.MinDataSize != int(from.Shared.MTU.Load()) {
			t.Errorf("%v: a data message of %d bytes is not padded", n.Now(), len(d.Data))
		}
		s := session{from, from.life, wire.DataIndex(d.Data)}
		if c := wire.DataCounter(d.Data); c < next[s] {
			t.Errorf("%v: host %d used counter %d, want at least %d", n.Now(), from.Name, c, next[s])
		} else {
			next[s] = c + 1
		}
	}
	t.Cleanup(func() {
		for _, h := range n.Hosts {
			checkIndices(t, h)
		}
	})
	return n
}

func checkIndices(t *testing.T, h *Host) {
	t.Helper()
	sessions, handshakes := 0, len(h.Machine.Peers())
	for _, p := range h.Machine.Peers() {
		s := p.Sessions()
		for _, k := range []any{s.Previous, s.Current, s.Next} {
			if k != nil && fmt.Sprint(k) != "<nil>" {
				sessions++
			}
		}
	}
	if n := h.Index.Len(); n < sessions || n > sessions+handshakes {
		t.Errorf("host %d: %d indices in use for %d sessions and at most %d handshakes", h.Name, n, sessions, handshakes)
	}
}

// equal compares the packets that arrived with those that were sent, in order.
func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s: %d packets, want %d; from packet %d on: %.40q, want %.40q", what, len(got), len(want), at,
		got[at:min(at+5, len(got))], want[at:min(at+5, len(want))])
}

func numbers(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// types returns the types of the datagrams, in order.
func types(list []Datagram) (got []wire.Type) {
	for i := range list {
		got = append(got, list[i].Type())
	}
	return got
}

// times returns when the datagrams were sent.
func times(list []Datagram) (at []time.Duration) {
	for i := range list {
		at = append(at, list[i].At)
	}
	return at
}
