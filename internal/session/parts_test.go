package session_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"wgd/internal/aead"
	"wgd/internal/asynctest"
	"wgd/internal/session"
)

// numbered returns the two ends of session n.
func numbered(n byte) (initiator, responder *session.Keypair) {
	one, two := [32]byte{n, 1}, [32]byte{n, 2}
	return session.New(&one, &two, uint32(n), 100+uint32(n), true, created),
		session.New(&two, &one, 100+uint32(n), uint32(n), false, created)
}

// A piece is packets for one of several keypairs.
type piece struct {
	keypair int
	buf     []byte
	packets []aead.Packet
	first   uint64
}

func (p piece) clone() piece {
	p.buf, p.packets = bytes.Clone(p.buf), slices.Clone(p.packets)
	return p
}

// pieces returns pieces of any length for any of n keypairs, several for some.
func pieces(dice *rand.Rand, n int) (list []piece) {
	for range 1 + dice.IntN(40) {
		buf, packets := layOut(1+dice.IntN(3), bytes.Repeat([]byte{byte(dice.Uint32())}, dice.IntN(1500)))
		for i := range packets {
			if dice.IntN(10) == 0 {
				packets[i].Len = 0
			}
		}
		first := uint64(dice.IntN(1 << 30))
		if dice.IntN(10) == 0 {
			first = session.RejectAfterMessages - uint64(dice.IntN(3))
		}
		list = append(list, piece{dice.IntN(n), buf, packets, first})
	}
	return list
}

// Parts are sealed and opened as if each keypair were alone, whatever the packets:
// those of one keypair in several parts, with counters at the limit (A37), those
// that are forged or too short, and those of keypairs that are erased (A35), which
// leave all others as they are.
func TestPartsAreAsAlone(t *testing.T) {
	const keypairs = 6
	dice := rand.New(rand.NewPCG(14, 2))
	parts := session.NewParts(64)
	unsealed, refused, opened := 0, 0, 0
	for range 200 {
		var from, to [keypairs]*session.Keypair
		for i := range from {
			from[i], to[i] = numbered(byte(i))
			if dice.IntN(6) == 0 {
				from[i].Erase()
			}
			if dice.IntN(6) == 0 {
				to[i].Erase()
			}
		}
		list := pieces(dice, keypairs)
		alone := make([]piece, len(list))
		for i, p := range list {
			alone[i] = p.clone()
			parts.Add(from[p.keypair], p.buf, p.packets, p.first)
		}
		for i, sealed := range parts.Seal() {
			p := alone[i]
			if want := from[p.keypair].Seal(p.buf, p.packets, p.first); sealed != want || !bytes.Equal(list[i].buf, p.buf) {
				t.Fatalf("part %d is sealed: %v; alone: %v, or the bytes differ", i, sealed, want)
			} else if !want {
				unsealed++
			}
		}
		want := 0
		for i := range list {
			p := &list[i]
			at := &p.packets[dice.IntN(len(p.packets))]
			switch dice.IntN(10) {
			case 0:
				p.buf[int(at.Off)+dice.IntN(int(max(at.Len, 1)))] ^= 1 << dice.IntN(8)
			case 1:
				at.Len = min(at.Len, int32(dice.IntN(aead.MinSize)))
			case 2: // authentic, but with a counter that nobody may use
				var k aead.Key
				k.Set(&[32]byte{byte(p.keypair), 1})
				k.Seal(p.buf, []aead.Packet{*at}, session.RejectAfterMessages+uint64(dice.IntN(3)))
			}
			alone[i] = p.clone()
			want += to[p.keypair].Open(alone[i].buf, alone[i].packets)
			parts.Add(to[p.keypair], p.buf, p.packets, 0)
		}
		if got := parts.Open(); got != want {
			t.Fatalf("%d packets failed, %d if alone", got, want)
		}
		refused += want
		for i, p := range list {
			if !slices.Equal(p.packets, alone[i].packets) || !bytes.Equal(p.buf, alone[i].buf) {
				t.Fatalf("part %d is opened as %v; alone: %v, or the bytes differ", i, p.packets, alone[i].packets)
			}
			for _, q := range p.packets {
				if q.Len > 0 {
					opened++
				}
			}
		}
	}
	if unsealed < 100 || refused < 100 || opened < 100 {
		t.Errorf("%d parts were not sealed, %d packets were refused and %d opened: too few to prove anything", unsealed, refused, opened)
	}
}

// A35: while one keypair is being erased, Parts neither wait for it nor use it, and
// the others are as ever. They hold the keys of these meanwhile, so waiting could
// last forever.
func TestPartsDoNotWaitForErase(t *testing.T) {
	a, _ := numbered(1)
	b, c := numbered(2)
	release := a.Hold() // another batch is in progress
	var wg sync.WaitGroup
	wg.Go(a.Erase)
	asynctest.Eventually(t, "a key is being erased", a.Erasing)
	parts := session.NewParts(3)
	buf, packets := layOut(1, []byte("one of three"))
	other, last := bytes.Clone(buf), bytes.Clone(buf)
	asynctest.Within(t, asynctest.Timeout, "a call beside an Erase", func() {
		parts.Add(b, other, packets, 0)
		parts.Add(a, buf, packets, 0)
		parts.Add(b, last, packets, 1)
		if sealed := parts.Seal(); !slices.Equal(sealed, []bool{true, false, true}) {
			t.Errorf("sealed: %v, want all but the second", sealed)
		}
		forged := slices.Clone(packets)
		parts.Add(c, other, packets, 0)
		parts.Add(a, buf, forged, 0)
		if failed := parts.Open(); failed != 1 || forged[0].Len != 0 || packets[0].Len == 0 {
			t.Errorf("%d packets failed, %v and %v, want those of the key that is being erased", failed, packets, forged)
		}
	})
	release()
	wg.Wait()
	asynctest.Within(t, asynctest.Timeout, "Erase after a call", func() { b.Erase(); c.Erase() })
}

// A35: calls with the same keypairs in different orders end, while these are erased
// (run with -race). Each packet is sealed with its key or not at all.
func TestEraseDuringParts(t *testing.T) {
	asynctest.Within(t, asynctest.Timeout, "sealing, opening and erasing", func() {
		for range 20 {
			var from, to [8]*session.Keypair
			for i := range from {
				from[i], to[i] = numbered(byte(i))
			}
			var wg sync.WaitGroup
			for _, order := range [][]int{{0, 1, 2, 3, 4, 5, 6, 7}, {7, 6, 5, 4, 3, 2, 1, 0}, {0, 0, 4, 4, 0}} {
				wg.Go(func() { sealAndOpenUntilErased(t, from[:], to[:], order) })
			}
			for i := range from {
				wg.Go(from[i].Erase)
				wg.Go(to[len(to)-1-i].Erase)
			}
			wg.Wait()
		}
	})
}

// sealAndOpenUntilErased seals and opens with the keypairs in the given order until
// all those to seal with are erased.
func sealAndOpenUntilErased(t *testing.T, from, to []*session.Keypair, order []int) {
	parts := session.NewParts(len(order))
	for any := true; any; {
		any = false
		var bufs [][]byte
		var packets [][]aead.Packet
		for _, i := range order {
			first, _ := from[i].Reserve(2)
			buf, list := layOut(2, make([]byte, 100))
			bufs, packets = append(bufs, buf), append(packets, list)
			parts.Add(from[i], buf, list, first)
		}
		for n, sealed := range slices.Clone(parts.Seal()) {
			if !sealed {
				continue
			}
			any = true
			parts.Add(to[order[n]], bufs[n], packets[n], 0)
		}
		failed := parts.Open()
		for _, list := range packets {
			if (list[0].Len == 0) != (list[1].Len == 0) {
				t.Error("only a part of a batch was opened")
			} else if list[0].Len == 0 {
				failed -= 2
			}
		}
		if failed != 0 {
			t.Errorf("%d packets failed that belong to no erased keypair", failed)
		}
	}
}

// Whatever arrives, the keypairs of Parts open what each would open alone, and
// nothing is opened that was not sealed.
func FuzzParts(f *testing.F) {
	f.Add([]byte{}, uint16(1), byte(3))
	f.Add(bytes.Repeat([]byte{4, 0, 0, 0}, 100), uint16(40), byte(1))
	f.Add(bytes.Repeat([]byte{0xff}, 300), uint16(32), byte(8))
	f.Fuzz(func(t *testing.T, buf []byte, stride uint16, keypairs byte) {
		var to [9]*session.Keypair
		for i := range to {
			_, to[i] = numbered(byte(i))
		}
		sealed, packets := send(t, first(numbered(0)), 1, []byte("authentic"))
		parts := session.NewParts(1)
		var all [][]aead.Packet
		for off := 0; off < len(buf) && stride > 0; off += int(stride) {
			list := []aead.Packet{{Off: int32(off), Len: int32(min(int(stride), len(buf)-off))}}
			all = append(all, list)
			parts.Add(to[len(all)%(1+int(keypairs%8))], buf, list, 0)
		}
		parts.Add(to[0], sealed, packets, 0)
		if failed := parts.Open(); failed != len(all) || packets[0].Len == 0 {
			t.Fatalf("%d packets failed, want %d; the authentic one has length %d", failed, len(all), packets[0].Len)
		}
		for _, list := range all {
			if list[0].Len != 0 {
				t.Fatal("a forged packet was opened")
			}
		}
	})
}

func first(a, _ *session.Keypair) *session.Keypair { return a }
