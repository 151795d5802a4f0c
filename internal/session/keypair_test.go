package session_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"
	"unsafe"

	"wgd/internal/aead"
	"wgd/internal/clock"
	"wgd/internal/replay"
	"wgd/internal/session"
	"wgd/internal/wire"
)

const created clock.Time = 1000

var keyA, keyB = [32]byte{1, 2, 3}, [32]byte{4, 5, 6}

// pair returns the two ends of one session.
func pair() (initiator, responder *session.Keypair) {
	return session.New(&keyA, &keyB, 0x11, 0x22, true, created),
		session.New(&keyB, &keyA, 0x22, 0x11, false, created)
}

// layOut returns count packets of equal content, ready to be sealed.
func layOut(count int, plaintext []byte) (buf []byte, packets []aead.Packet) {
	size := len(plaintext) + aead.MinSize
	buf = make([]byte, count*size)
	for i := range count {
		packets = append(packets, aead.Packet{Off: int32(i * size), Len: int32(size)})
		copy(buf[i*size+aead.HeaderSize:], plaintext)
	}
	return buf, packets
}

// send seals count packets with newly reserved counters.
func send(t *testing.T, k *session.Keypair, count int, plaintext []byte) ([]byte, []aead.Packet) {
	t.Helper()
	first, ok := k.Reserve(count)
	if !ok {
		t.Fatal("Reserve returned no counters")
	}
	buf, packets := layOut(count, plaintext)
	if !k.Seal(buf, packets, first) {
		t.Fatal("Seal failed")
	}
	return buf, packets
}

// A2, A3: the header is type 4, three zero bytes, the index of the receiver and
// the counter, both little-endian; counters start at 0 (A37).
func TestHeader(t *testing.T) {
	us, _ := pair()
	buf, packets := send(t, us, 3, make([]byte, 48))
	for i, p := range packets {
		want := []byte{4, 0, 0, 0, 0x22, 0, 0, 0, byte(i), 0, 0, 0, 0, 0, 0, 0}
		if got := buf[p.Off : p.Off+16]; !bytes.Equal(got, want) {
			t.Errorf("header %d is %x, want %x", i, got, want)
		}
	}
	if us.Sent() != 3 {
		t.Errorf("Sent() = %d after 3 packets", us.Sent())
	}
}

// One side opens and accepts what the other side sealed, in both directions.
func TestBothDirections(t *testing.T) {
	a, b := pair()
	for _, direction := range []struct{ from, to *session.Keypair }{{a, b}, {b, a}} {
		text := []byte("some plaintext of a packet")
		buf, packets := send(t, direction.from, 5, text)
		if direction.to.Open(buf, packets) != 0 || direction.to.Accept(buf, packets) != 0 {
			t.Fatal("the packets were not opened and accepted")
		}
		for _, p := range packets {
			if !bytes.Equal(buf[p.Off+16:p.Off+p.Len-16], text) {
				t.Fatal("the opened packet differs from the plaintext")
			}
		}
	}
}

// A38: a packet is dropped as a replay only after it was accepted; a forger does
// not move the window; counter 0 is an ordinary counter (B34).
func TestReplay(t *testing.T) {
	a, b := pair()
	sealed, packets := send(t, a, 3, nil)
	open := func(forge bool) (failed, replays int) {
		buf, got := bytes.Clone(sealed), append([]aead.Packet(nil), packets...)
		if forge {
			for _, p := range got {
				buf[p.Off+p.Len-1] ^= 1
			}
		}
		failed = b.Open(buf, got)
		replays = b.Accept(buf, got)
		for _, p := range got {
			if (p.Len == 0) != (failed+replays > 0) {
				t.Errorf("Len is %d after %d failures and %d replays", p.Len, failed, replays)
			}
		}
		return failed, replays
	}
	for _, want := range []struct {
		forge           bool
		failed, replays int
	}{{true, 3, 0}, {false, 0, 0}, {false, 0, 3}, {true, 3, 0}} {
		if failed, replays := open(want.forge); failed != want.failed || replays != want.replays {
			t.Fatalf("forged %v: %d failed and %d replays, want %d and %d", want.forge, failed, replays, want.failed, want.replays)
		}
	}
}

// A38: the same counter twice within one batch is accepted once.
func TestReplayWithinABatch(t *testing.T) {
	a, b := pair()
	one, _ := send(t, a, 1, []byte("once"))
	buf := append(bytes.Clone(one), one...)
	packets := []aead.Packet{{Off: 0, Len: int32(len(one))}, {Off: int32(len(one)), Len: int32(len(one))}}
	if b.Open(buf, packets) != 0 || b.Accept(buf, packets) != 1 || packets[0].Len == 0 || packets[1].Len != 0 {
		t.Errorf("the second of two equal packets was not refused: %v", packets)
	}
}

// A38: batches in order, with gaps, with duplicate or late packets, and with
// packets refused before, are accepted as if packet by packet.
func TestReplayInAnyBatch(t *testing.T) {
	dice := rand.New(rand.NewPCG(38, 45))
	for range 300 {
		_, k := pair()
		var window replay.Window
		next := uint64(dice.IntN(3))
		for range 20 {
			count := dice.IntN(130)
			buf, packets := layOut(count, nil)
			var want []int32
			replays := 0
			next -= min(next, uint64(dice.IntN(3)))
			for i := range packets {
				switch p := &packets[i]; dice.IntN(200) {
				case 0:
					p.Len = 0
				case 1:
					next += uint64(dice.IntN(10000))
				case 2:
					next -= min(next, uint64(dice.IntN(200)))
				}
				wire.PutDataHeader(buf[packets[i].Off:], 0x22, next)
				want = append(want, packets[i].Len)
				if packets[i].Len != 0 && !window.Accept(next) {
					want[i] = 0
					replays++
				}
				next++
			}
			if got := k.Accept(buf, packets); got != replays {
				t.Fatalf("%d replays, want %d", got, replays)
			}
			for i, p := range packets {
				if p.Len != want[i] {
					t.Fatalf("packet %d of %d has length %d, want %d", i, count, p.Len, want[i])
				}
			}
		}
	}
}

// A36, B33: a key is unusable at exactly 180 s.
func TestUsable(t *testing.T) {
	k, _ := pair()
	for _, c := range []struct {
		age  time.Duration
		want bool
	}{
		{0, true}, {119 * time.Second, true},
		{180*time.Second - 1, true}, {180 * time.Second, false},
		{240 * time.Second, false}, {time.Duration(clock.Never - created), false},
	} {
		if got := k.Usable(created.Add(c.age)); got != c.want {
			t.Errorf("at the age of %v, Usable returns %v, want %v", c.age, got, c.want)
		}
	}
	k.Erase()
	if k.Usable(created) {
		t.Error("an erased keypair is usable")
	}
}

// A37, B3: Reserve stops at the limit, reserves all or nothing, and never wraps.
func TestRejectAfterMessagesOnSend(t *testing.T) {
	k, _ := pair()
	k.SetSent(session.RejectAfterMessages - 10)
	for _, c := range []struct {
		n  int
		ok bool
	}{{11, false}, {math.MaxInt, false}, {4, true}, {7, false}, {6, true}, {1, false}, {45, false}, {0, false}, {-1, false}} {
		before := k.Sent()
		first, ok := k.Reserve(c.n)
		if ok != c.ok || ok && first != before {
			t.Fatalf("Reserve(%d) with %d left = %d, %v", c.n, session.RejectAfterMessages-before, first, ok)
		}
		if !ok && k.Sent() != before {
			t.Fatalf("Reserve(%d) failed and took counters", c.n)
		}
	}
	if k.Sent() != session.RejectAfterMessages {
		t.Errorf("Sent() = %d, want %d", k.Sent(), session.RejectAfterMessages)
	}
	buf, packets := layOut(2, nil)
	for _, first := range []uint64{session.RejectAfterMessages - 1, session.RejectAfterMessages, math.MaxUint64} {
		if k.Seal(buf, packets, first) {
			t.Errorf("sealed with counters from %d", first)
		}
	}
}

// A37, B3: the limit also holds for received packets that are authentic.
func TestRejectAfterMessagesOnReceive(t *testing.T) {
	for counter, want := range map[uint64]int{
		session.RejectAfterMessages - 1: 0,
		session.RejectAfterMessages:     1,
		session.RejectAfterMessages + 1: 1,
		math.MaxUint64:                  1,
	} {
		_, b := pair()
		var k aead.Key
		k.Set(&keyA)
		buf, packets := layOut(1, []byte("late"))
		k.Seal(buf, packets, counter)
		if got := b.Open(buf, packets); got != want || (packets[0].Len == 0) != (want == 1) {
			t.Errorf("counter %d: %d failed, want %d", counter, got, want)
		}
		if want == 1 && !bytes.Equal(buf[16:], make([]byte, len(buf)-16)) {
			t.Errorf("counter %d: the refused packet is not zeroed", counter)
		}
	}
}

// A37, B4: counters have 64 bits on every platform (also run with GOARCH=386).
func TestCounterHas64Bits(t *testing.T) {
	a, b := pair()
	a.SetSent(1<<32 - 2)
	buf, packets := send(t, a, 4, nil)
	for i, p := range packets {
		if got := binary.LittleEndian.Uint64(buf[p.Off+8:]); got != 1<<32-2+uint64(i) {
			t.Errorf("packet %d has counter %d, want %d", i, got, 1<<32-2+uint64(i))
		}
	}
	if b.Open(buf, packets) != 0 || b.Accept(buf, packets) != 0 {
		t.Error("the packets were not opened and accepted")
	}
}

// A37: concurrent calls of Reserve never return the same counter.
func TestReserveConcurrently(t *testing.T) {
	k, _ := pair()
	k.SetSent(session.RejectAfterMessages - 10_000)
	const callers = 8
	var mu sync.Mutex
	taken := map[uint64]bool{}
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for n := 1 + caller; ; {
				first, ok := k.Reserve(n)
				if !ok {
					return
				}
				mu.Lock()
				for c := first; c < first+uint64(n); c++ {
					if taken[c] || c >= session.RejectAfterMessages {
						t.Errorf("counter %d was reserved twice, or is above the limit", c)
					}
					taken[c] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(taken) != 10_000 {
		t.Errorf("%d counters reserved, want 10,000: one caller takes them singly", len(taken))
	}
}

// A35: an erased keypair has no key, seals and opens nothing, and reports that.
func TestErase(t *testing.T) {
	a, b := pair()
	buf, packets := send(t, a, 2, []byte("too late"))
	for i, c := range b.Ciphers() {
		if reflect.ValueOf(c).Elem().IsZero() {
			t.Fatalf("cipher %d has no key before Erase, so this test proves nothing", i)
		}
	}
	b.Erase()
	b.Erase()
	for i, c := range b.Ciphers() {
		if !reflect.ValueOf(c).Elem().IsZero() {
			t.Errorf("cipher %d still has a key", i)
		}
	}
	if b.Open(buf, packets) != 2 || packets[0].Len != 0 || packets[1].Len != 0 {
		t.Error("an erased keypair opens packets")
	}
	plain, packets := layOut(2, []byte("never sent"))
	before := bytes.Clone(plain)
	if b.Seal(plain, packets, 0) || !bytes.Equal(plain, before) {
		t.Error("an erased keypair seals packets")
	}
}

// A35, B25: Erase waits for calls of Seal and Open in progress (run with -race):
// every packet is sealed with the key, and none with the zeros that replace it.
func TestEraseDuringSealAndOpen(t *testing.T) {
	for range 50 {
		a, b := pair()
		sealed, packets := send(t, a, 8, make([]byte, 200))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					buf, got := bytes.Clone(sealed), append([]aead.Packet(nil), packets...)
					if failed := b.Open(buf, got); failed == len(packets) {
						return
					} else if failed != 0 {
						t.Error("only a part of a batch was opened")
					}
					b.Accept(buf, got)
				}
			})
			wg.Go(func() {
				for {
					first, _ := b.Reserve(8)
					buf, got := layOut(8, make([]byte, 200))
					if !b.Seal(buf, got, first) {
						return
					}
					if a.Open(buf, got) != 0 {
						t.Error("a packet was sealed with another key")
						return
					}
				}
			})
		}
		b.Erase()
		wg.Wait()
	}
}

// New copies the keys: the caller may zero its own.
func TestNewCopies(t *testing.T) {
	mine, theirs := keyA, keyB
	a := session.New(&mine, &theirs, 1, 2, true, created)
	clear(mine[:])
	clear(theirs[:])
	_, b := pair()
	buf, packets := send(t, a, 1, nil)
	if b.Open(buf, packets) != 0 {
		t.Error("the keypair uses the caller's arrays")
	}
}

// A million peers have up to three keypairs each (A60). Nearly all of a
// keypair's size is the window.
func TestSize(t *testing.T) {
	if size := unsafe.Sizeof(session.Keypair{}); size > 1280 {
		t.Errorf("a Keypair takes %d bytes, want at most 1280", size)
	}
}

// FuzzOpen: input that was not sealed does not open, and none panics.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, uint16(1))
	f.Add(bytes.Repeat([]byte{0xff}, 100), uint16(32))
	f.Fuzz(func(t *testing.T, buf []byte, stride uint16) {
		_, b := pair()
		var packets []aead.Packet
		for off := 0; off < len(buf) && stride > 0; off += int(stride) {
			packets = append(packets, aead.Packet{Off: int32(off), Len: int32(min(int(stride), len(buf)-off))})
		}
		if b.Open(buf, packets) != len(packets) || b.Accept(buf, packets) != 0 {
			t.Fatal("a forged packet was opened")
		}
	})
}
