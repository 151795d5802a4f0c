package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"wgd/internal/wire"
)

// newChecked is New, with an eye on what must be so in every story:
//
//   - no counter is used twice, and they rise (A37);
//   - handshakes carry AF41, data no DSCP (A56);
//   - data is padded, or a keepalive (A40, A45, B14);
//   - at the end there are at most three sessions for a peer and one handshake
//     more (A31), and no other index is taken (B29).
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
			t.Errorf("%v: host %d sends what is no message: %x", n.Now(), from.Name, d.Data[:min(len(d.Data), 32)])
			return
		}
		if d.Type() != wire.TypeData {
			if d.TOS != 0x88 {
				t.Errorf("%v: a %v has TOS %#x", n.Now(), d.Type(), d.TOS)
			}
			return
		}
		if d.TOS != 0 {
			t.Errorf("%v: data has TOS %#x", n.Now(), d.TOS)
		}
		if len(d.Data)%16 != 0 && len(d.Data) < 65507 && len(d.Data)-wire.MinDataSize != int(from.Shared.MTU.Load()) {
			t.Errorf("%v: data of %d bytes is not padded", n.Now(), len(d.Data))
		}
		s := session{from, from.life, wire.DataIndex(d.Data)}
		if c := wire.DataCounter(d.Data); c < next[s] {
			t.Errorf("%v: host %d uses counter %d again", n.Now(), from.Name, c)
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
		t.Errorf("host %d: %d indices are taken for %d sessions and at most %d handshakes", h.Name, n, sessions, handshakes)
	}
}

// equal compares what came with what was sent, in order.
func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s: %d packets, want %d; from number %d on %.40q, want %.40q", what, len(got), len(want), at,
		got[at:min(at+5, len(got))], want[at:min(at+5, len(want))])
}

func numbers(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// types are those of the datagrams, in order.
func types(list []Datagram) (got []wire.Type) {
	for i := range list {
		got = append(got, list[i].Type())
	}
	return got
}

// times are when they were sent.
func times(list []Datagram) (at []time.Duration) {
	for i := range list {
		at = append(at, list[i].At)
	}
	return at
}
