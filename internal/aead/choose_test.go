package aead

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// slowKernel is a kernel with four lanes for every processor, made of the
// reference.
func slowKernel(work *group, open bool) {
	for lane := range 4 {
		key := work.key[lane]
		if uint64(lane) >= work.packets {
			work.tag[0][lane], work.tag[1][lane] = work.tag[0][0], work.tag[1][0]
			continue
		}
		text := unsafe.Slice(work.text[lane], work.length)
		nonce := binary.LittleEndian.AppendUint64(make([]byte, 4), work.counter[lane])
		received := append([]byte(nil), text...)
		copy(text, referenceSeal(key[:], nonce, text, nil))
		if !open {
			received = text
		}
		mac := append(append([]byte(nil), received...), make([]byte, -len(received)&15)...)
		mac = binary.LittleEndian.AppendUint64(append(mac, make([]byte, 8)...), work.length)
		tag := referencePoly1305(referenceBlock(key[:], nonce, 0)[:32], mac)
		work.tag[0][lane] = binary.LittleEndian.Uint64(tag)
		work.tag[1][lane] = binary.LittleEndian.Uint64(tag[8:])
	}
}

// A kernel that is not supported is skipped silently; one that fails its
// self-test is skipped and named.
func TestChoose(t *testing.T) {
	yes, no := func() bool { return true }, func() bool { return false }
	right := kernel{name: "right", supported: yes, lanes: 4, minPackets: 2, run: slowKernel}
	wrong := right
	wrong.name, wrong.run = "wrong", func(work *group, open bool) {
		slowKernel(work, open)
		work.tag[1][3] ^= 1 << 63 // one bit, in one lane
	}
	sealsOnly := right
	sealsOnly.name, sealsOnly.run = "seals-only", func(work *group, open bool) {
		slowKernel(work, false) // hashes its output even when it opens
	}
	oneKey := right
	oneKey.name, oneKey.run = "one-key", func(work *group, open bool) {
		work.key[3] = work.key[0]
		slowKernel(work, open)
	}
	three := right
	three.name, three.run = "three", func(work *group, open bool) {
		slowKernel(work, open)
		if work.packets == 3 && work.length > 640 {
			work.tag[0][2] ^= 1
		}
	}
	absent := wrong
	absent.name, absent.supported = "absent", no
	for _, c := range []struct {
		kernels []kernel
		name    string
	}{
		{nil, "x/crypto"},
		{[]kernel{absent}, "x/crypto"},
		{[]kernel{absent, right, wrong}, "right"},
		{[]kernel{wrong, right}, "right; wrong failed its self-test"},
		{[]kernel{wrong, absent}, "x/crypto; wrong failed its self-test"},
		{[]kernel{sealsOnly, wrong}, "x/crypto; seals-only failed its self-test; wrong failed its self-test"},
		{[]kernel{oneKey, right}, "right; one-key failed its self-test"},
		{[]kernel{three, right}, "right; three failed its self-test"},
	} {
		got, name := choose(c.kernels)
		if name != c.name {
			t.Errorf("chosen kernel: %q, want %q", name, c.name)
		}
		if first, _, _ := strings.Cut(c.name, ";"); (first == "x/crypto") != (got.run == nil) {
			t.Errorf("chosen kernel %q: run is nil: %v", name, got.run == nil)
		}
	}
}

// The program uses the first kernel of the table that the processor supports,
// or none, and every supported kernel passes its self-test.
func TestChosen(t *testing.T) {
	want := "x/crypto"
	for _, k := range slices.Backward(kernels) {
		if !k.supported() {
			continue
		}
		want = k.name
		if !k.selfTest() {
			t.Errorf("%s fails its self-test", k.name)
		}
	}
	if Kernel() != want {
		t.Errorf("chosen kernel: %q, want the first that this processor supports: %q", Kernel(), want)
	}
	t.Log("this processor has", Kernel())
}
