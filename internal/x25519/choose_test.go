package x25519

import (
	"slices"
	"strings"
	"testing"
)

// slowKernel is a kernel with three lanes for every processor, made of crypto/ecdh.
func slowKernel(work *group) {
	for lane := range 3 {
		var e, u [Size]byte
		bit := uint64(0)
		for step := range 255 {
			bit ^= work.swap[3-step/64][lane] >> (63 - step%64) & 1
			e[(254-step)/8] |= byte(bit) << ((254 - step) % 8)
		}
		u = encoded(numberOf(slowWidths, func(i int) uint64 { return work.point[i][lane] }))
		product := reference(&e, &u)
		var g group
		g.setPoint(lane, slowWidths, &product)
		for i := range slowWidths {
			work.product[i][lane] = g.point[i][lane]
		}
	}
}

var slowWidths = []uint{60, 60, 60, 60, 15}

// A kernel that is not supported is skipped silently; one that fails its self-test
// is skipped and named.
func TestChoose(t *testing.T) {
	yes, no := func() bool { return true }, func() bool { return false }
	right := kernel{name: "right", supported: yes, lanes: 3, minMultiplications: 2, widths: slowWidths, run: slowKernel}
	wrong := right
	wrong.name, wrong.run = "wrong", func(work *group) {
		slowKernel(work)
		work.product[4][2] ^= 1 << 3 // one bit, in one lane
	}
	noError := right
	noError.name, noError.run = "no-error", func(work *group) {
		slowKernel(work)
		for i := range slowWidths {
			if work.product[i][0] != 0 {
				return
			}
		}
		work.product[0][0] = 1
	}
	absent := wrong
	absent.name, absent.supported = "absent", no
	for _, c := range []struct {
		kernels []kernel
		name    string
	}{
		{nil, "crypto/ecdh"},
		{[]kernel{absent}, "crypto/ecdh"},
		{[]kernel{absent, right, wrong}, "right"},
		{[]kernel{wrong, right}, "right; wrong failed its self-test"},
		{[]kernel{wrong, absent}, "crypto/ecdh; wrong failed its self-test"},
		{[]kernel{noError, wrong}, "crypto/ecdh; no-error failed its self-test; wrong failed its self-test"},
	} {
		got, name := choose(c.kernels)
		if name != c.name {
			t.Errorf("chosen kernel: %q, want %q", name, c.name)
		}
		if first, _, _ := strings.Cut(c.name, ";"); (first == "crypto/ecdh") != (got.run == nil) {
			t.Errorf("chosen kernel %q: run is nil: %v", name, got.run == nil)
		}
	}
}

// The program uses the first kernel of the table that the processor supports, or
// none, and every supported kernel passes its self-test.
func TestChosen(t *testing.T) {
	want := "crypto/ecdh"
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
