package cookie

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/crypto/blake2s"

	"wgd/internal/wire"
	"wgd/key"
)

// A22: mac1 is computed as specified.
func TestMAC1(t *testing.T) {
	m := NewMaker(owner)
	msg := initiation(m, start)
	k := blake2s.Sum256(append([]byte("mac1----"), owner[:]...))
	h, err := blake2s.New128(k[:])
	if err != nil {
		t.Fatal(err)
	}
	h.Write(msg[:116])
	if !bytes.Equal(msg[116:132], h.Sum(nil)) {
		t.Error("mac1 is not the keyed BLAKE2s-128 of the bytes before it")
	}
	if !bytes.Equal(msg[132:], make([]byte, 16)) {
		t.Error("A23: mac2 without a cookie is not zero")
	}
}

// A25, A26: Consume accepts only a valid reply to the last message, and only once.
func TestConsume(t *testing.T) {
	c := NewChecker(owner, random())
	reply := func(msg []byte) []byte {
		b, ok := c.Reply(start, here, msg)
		if !ok {
			t.Fatal("no reply")
		}
		return bytes.Clone(b)
	}
	m := NewMaker(owner)
	old := (&wire.Initiation{Sender: 1}).AppendTo(nil)
	m.AddMACs(start, old)
	toOld := reply(old)
	msg := (&wire.Initiation{Sender: 2}).AppendTo(nil)
	m.AddMACs(start, msg)
	good := reply(msg)
	other := NewChecker(key.Public{9}, random())
	byOther, _ := other.Reply(start, here, msg)

	changed := func(at int) []byte { b := bytes.Clone(good); b[at] ^= 1; return b }
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:63], "long": append(bytes.Clone(good), 0), "wrong type": changed(0),
		"nonce changed": changed(8), "cookie changed": changed(32), "tag changed": changed(63),
		"to the message before": toOld, "by another": byOther,
	} {
		before := *m
		if m.Consume(start, b) {
			t.Errorf("%s: accepted", name)
		}
		if *m != before {
			t.Errorf("%s: it changed the maker", name)
		}
	}
	if !m.Consume(start, good) {
		t.Fatal("the valid reply is refused")
	}
	second := reply(msg)
	if m.Consume(start, second) {
		t.Error("A26: a second cookie for one mac1 was accepted")
	}
	m.AddMACs(start, msg)
	if bytes.Equal(msg[132:], make([]byte, 16)) {
		t.Error("A26: the retransmission has no mac2")
	}
	if !m.Consume(start, reply(msg)) {
		t.Error("A26: after the next mac1, a new cookie is refused")
	}
	m.Erase()
	if *m != *NewMaker(owner) {
		t.Error("Erase left data behind")
	}
}

// A25: no two replies have the same nonce.
func TestRepliesDiffer(t *testing.T) {
	c := NewChecker(owner, random())
	m := NewMaker(owner)
	msg := initiation(m, start)
	seen := map[string]bool{}
	for range 100 {
		b, ok := c.Reply(start, here, msg)
		if !ok || wire.SenderIndex(msg) != 0x11223344 {
			t.Fatal("no reply")
		}
		if nonce := hex.EncodeToString(b[8:32]); seen[nonce] {
			t.Fatal("two replies have the same nonce")
		} else {
			seen[nonce] = true
		}
	}
}

// A Maker is small, because each peer has one. Printing it does not show a cookie.
func TestMakerIsSmallAndHidden(t *testing.T) {
	if n := unsafe.Sizeof(Maker{}); n > 96 {
		t.Errorf("a Maker has %d bytes, want at most 96", n)
	}
	m := NewMaker(owner)
	for _, v := range []any{*m, m, NewChecker(owner, nil), NewGate(owner, nil)} {
		if got := fmt.Sprintf("%+v", v); strings.TrimLeft(got, "&") != "(hidden)" {
			t.Errorf("%T prints as %s, want (hidden)", v, got)
		}
	}
}

// A4, A5, A6, A22: for any datagram, with its mac1 corrected or not, the gate does
// not panic, admits nothing without a valid mac1, and sends only cookie replies.
func FuzzGate(f *testing.F) {
	m := NewMaker(owner)
	for _, msg := range messages(m, start) {
		f.Add(msg, uint16(0), false)
		f.Add(msg, uint16(heavy), true)
	}
	f.Add([]byte(nil), uint16(capacity), true)
	f.Fuzz(func(t *testing.T, msg []byte, queued uint16, repair bool) {
		g := NewGate(owner, random())
		c := NewChecker(owner, nil)
		if repair && hasMACs(msg) {
			covered, field := mac1Of(msg)
			var k [32]byte
			labelled(&k, mac1Label, owner)
			h := newMAC(k[:])
			h.Write(covered)
			h.Sum(field[:0])
		}
		got, reply := g.judge(start, here, msg, int(queued), capacity)
		good := hasMACs(msg) && c.CheckMAC1(msg)
		if (got == Admit || got == Reply) != good {
			t.Fatalf("mac1 good: %t, verdict: %s", good, got)
		}
		if (reply != nil) != (got == Reply) || len(reply) > len(msg) {
			t.Fatalf("got verdict %s with a reply of %d bytes", got, len(reply))
		}
	})
}

// A8, A26: Consume does not panic on any datagram, and accepts only the valid
// cookie reply.
func FuzzConsume(f *testing.F) {
	m := NewMaker(owner)
	msg := initiation(m, start)
	m.AddMACs(start, msg)
	good, ok := NewChecker(owner, random()).Reply(start, here, msg)
	if !ok {
		f.Fatal("no reply")
	}
	f.Add(good)
	f.Add(good[:63])
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		attempt := *m
		accepted := attempt.Consume(start, b)
		if !accepted && attempt != *m {
			t.Fatal("a refused reply changed the maker")
		}
		// The receiver's index alone is not covered.
		if accepted && !bytes.Equal(b[8:], good[8:]) {
			t.Fatal("a forged reply was accepted")
		}
	})
}
