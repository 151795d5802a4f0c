package core

import (
	"testing"
	"time"

	"wgd/internal/wire"
)

// FuzzReceive passes any message, also with a live index, to a machine with a
// session and a handshake in progress (A4, A5, A7): the machine sends no answer,
// and both peers keep working.
func FuzzReceive(f *testing.F) {
	w := newWorld(f, 1)
	a, b := w.pair()
	a.send(b, "x")
	w.run(time.Second)
	for _, s := range append(a.sent, b.sent...) {
		f.Add(s.msg, uint8(0))
		f.Add(s.msg, uint8(1))
	}
	for _, size := range []int{0, 1, 31, wire.InitiationSize, wire.ResponseSize, wire.CookieReplySize} {
		for kind := range byte(6) {
			msg := make([]byte, size)
			if size > 0 {
				msg[0] = kind
			}
			f.Add(msg, uint8(2))
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte, live uint8) {
		w := newWorld(t, 2)
		w.host() // so that the keys differ from those of the seeds, which are valid
		a, b := w.pair()
		b.send(a, "x")
		w.run(time.Second)
		w.lost = func(_, to *host, _ []byte) bool { return to == a }
		b.member(a).suspected, b.member(a).wanted = w.now, true
		w.run(6 * time.Second)
		if own := b.member(a).own; own != nil && live > 0 && len(msg) >= 12 {
			msg = append([]byte(nil), msg...)
			at := 4 * int(live%3) // offset of a receiver index
			if at > 0 {
				msg[at], msg[at+1], msg[at+2], msg[at+3] = byte(own.index), byte(own.index>>8), byte(own.index>>16), byte(own.index>>24)
			}
		}
		before, sent := b.index.Len(), kinds(b.sent)
		b.m.Receive(b.time(), wire.NewEndpoint(a.addr, b.addr.Addr(), 0), msg)
		b.drain()
		w.run(0)
		if b.index.Len() != before || kinds(b.sent)[wire.TypeResponse] != sent[wire.TypeResponse] || kinds(b.sent)[wire.TypeData] != sent[wire.TypeData] {
			t.Errorf("message %x had an effect", msg)
		}
		w.lost = nil
		w.run(20 * time.Second)
		a.send(b, "y")
		w.run(10 * time.Second)
		if len(b.got) != 1 {
			t.Errorf("after message %x: b got %q", msg, b.got)
		}
	})
}
