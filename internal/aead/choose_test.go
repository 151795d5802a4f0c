package aead

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// slowKernel is a kernel of four lanes for every processor: the reference.
func slowKernel(work *group, base *byte, open bool) {
	var key [KeySize]byte
	for i, w := range work.key {
		binary.LittleEndian.PutUint32(key[4*i:], w)
	}
	for lane := range 4 {
		if lane > 0 && work.offset[lane] == work.offset[0] {
			work.tag[0][lane], work.tag[1][lane] = work.tag[0][0], work.tag[1][0]
			continue
		}
		text := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(base), work.offset[lane])), work.length)
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

// What is not supported is passed over in silence; what is wrong, by name.
func TestChoose(t *testing.T) {
	yes, no := func() bool { return true }, func() bool { return false }
	right := kernel{name: "right", supported: yes, lanes: 4, minPackets: 2, run: slowKernel}
	wrong := right
	wrong.name, wrong.run = "wrong", func(work *group, base *byte, open bool) {
		slowKernel(work, base, open)
		work.tag[1][3] ^= 1 << 63 // one bit, in one lane
	}
	deaf := right
	deaf.name, deaf.run = "deaf", func(work *group, base *byte, open bool) {
		slowKernel(work, base, false) // and hashes what it has made, though it opens
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
		{[]kernel{deaf, wrong}, "x/crypto; deaf failed its self-test; wrong failed its self-test"},
	} {
		got, name := choose(c.kernels)
		if name != c.name {
			t.Errorf("chosen is %q, want %q", name, c.name)
		}
		if first, _, _ := strings.Cut(c.name, ";"); (first == "x/crypto") != (got.run == nil) {
			t.Errorf("%q has a function or has none", name)
		}
	}
}

// The kernel of this program is one of the table, or none, and is right.
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
		t.Errorf("chosen is %q, want the first of the table that this processor has: %s", Kernel(), want)
	}
	t.Log("this processor has", Kernel())
}
