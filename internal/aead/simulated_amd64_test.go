package aead

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"wgd/internal/aead/emulate"
)

// A simulation runs a kernel, parsed from its assembly file, on a simulated
// processor, which enforces its contract: see package emulate.
type simulation struct {
	kernel  kernel
	program *emulate.Program
	native  bool   // run the kernel on this processor, too, and compare
	garbage uint64 // seed of the initial register contents
	result  emulate.Result
	t       testing.TB
}

// simulations returns all kernels, whether or not this processor supports them.
func simulations(t testing.TB) (all []*simulation) {
	if len(kernels) == 0 {
		t.Fatal("there are no kernels")
	}
	for _, k := range kernels {
		text := sourceOf(t, k)
		all = append(all, &simulation{kernel: k, program: parsed(t, k, text), native: k.supported(), garbage: 1, t: t})
	}
	return all
}

// functionOf returns the name of a kernel's function, which is also in the name
// of its file.
func functionOf(k kernel) string {
	name := runtime.FuncForPC(reflect.ValueOf(k.run).Pointer()).Name()
	return name[strings.LastIndexByte(name, '.')+1:]
}

func sourceOf(t testing.TB, k kernel) string {
	text, err := os.ReadFile(functionOf(k) + "_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parsed(t testing.TB, k kernel, text string) *emulate.Program {
	file, err := emulate.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", k.name, err)
	}
	p := file.Program(functionOf(k))
	if p == nil {
		t.Fatalf("%s: the file has no function %s", k.name, functionOf(k))
	}
	return p
}

// asKernel returns a kernel that runs the simulation.
func (s *simulation) asKernel() kernel {
	k := s.kernel
	k.name = "simulated " + k.name
	k.minPackets, k.minLong = 1, 1
	k.run = s.run
	return k
}

func (s *simulation) run(work *group, open bool) {
	regions := regionsOf(work, s.kernel.lanes)
	var nativeResult [][]byte
	if s.native {
		before := contents(regions)
		s.kernel.run(work, open)
		nativeResult = contents(regions)
		for i := range regions {
			copy(regions[i].Data, before[i])
		}
	}
	var err error
	s.result, err = s.program.Run(arguments(work, open), regions, s.garbage)
	if err != nil {
		s.t.Fatalf("texts of %d bytes, open %v: %v", work.length, open, err)
	}
	for i := range nativeResult {
		if !bytes.Equal(nativeResult[i], regions[i].Data) {
			s.t.Fatalf("texts of %d bytes, open %v: %s differs between the processor and the simulation",
				work.length, open, regions[i].Name)
		}
	}
}

// regionsOf returns the memory that a kernel may access, and marks what is
// secret: everything except the addresses, the counters, the length and the
// number of packets.
func regionsOf(work *group, lanes int) []emulate.Region {
	regions := []emulate.Region{
		region("text", unsafe.Pointer(&work.text), unsafe.Sizeof(work.text)),
		region("key", unsafe.Pointer(&work.key), unsafe.Sizeof(work.key)),
		region("counter", unsafe.Pointer(&work.counter), unsafe.Sizeof(work.counter)),
		region("length", unsafe.Pointer(&work.length), unsafe.Sizeof(work.length)),
		region("packets", unsafe.Pointer(&work.packets), unsafe.Sizeof(work.packets)),
		region("tag", unsafe.Pointer(&work.tag), unsafe.Sizeof(work.tag)),
		region("scratch", unsafe.Pointer(&work.scratch), unsafe.Sizeof(work.scratch)),
	}
	for i := range regions {
		r := &regions[i]
		r.ReadOnly = i < 5
		if i >= 5 {
			r.Secret = allSecret(len(r.Data))
		}
	}
	for lane, text := range work.text[:lanes] {
		if slices.Index(work.text[:], text) == lane && work.length > 0 {
			r := region(fmt.Sprintf("text %d", lane), unsafe.Pointer(text), uintptr(work.length))
			r.Secret = allSecret(len(r.Data))
			regions = append(regions, r)
		}
	}
	for lane, key := range work.key[:lanes] {
		if slices.Index(work.key[:], key) == lane {
			r := region(fmt.Sprintf("key %d", lane), unsafe.Pointer(key), KeySize)
			r.ReadOnly, r.Secret = true, allSecret(KeySize)
			regions = append(regions, r)
		}
	}
	return regions
}

func region(name string, at unsafe.Pointer, size uintptr) emulate.Region {
	return emulate.Region{Name: name, Base: uint64(uintptr(at)), Data: unsafe.Slice((*byte)(at), size)}
}

func allSecret(n int) []bool {
	secret := make([]bool, n)
	for i := range secret {
		secret[i] = true
	}
	return secret
}

// arguments returns the arguments of a kernel as laid out on the stack.
func arguments(work *group, open bool) []byte {
	frame := struct {
		work *group
		open bool
	}{work, open}
	return bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(&frame)), unsafe.Offsetof(frame.open)+1))
}

func contents(regions []emulate.Region) (all [][]byte) {
	for _, r := range regions {
		all = append(all, bytes.Clone(r.Data))
	}
	return all
}

// The self-test reaches every instruction of every kernel, so a processor that
// executes one of them wrongly does not use the kernel.
func TestSelfTestReachesAll(t *testing.T) {
	for _, s := range simulations(t) {
		k := s.kernel
		k.run, s.native = s.run, false
		if !k.selfTest() {
			t.Errorf("%s fails its self-test on the simulated processor", k.name)
		}
		if missed := s.program.Unreached(); len(missed) > 0 {
			t.Errorf("the self-test of %s does not reach %d instructions, the first in %s", k.name, len(missed), missed[0])
		}
	}
}

// On the simulated processor every kernel implements the cipher, accesses only
// its memory, and does not branch on secrets. If this processor supports the
// kernel, both leave the same bytes.
func TestSimulated(t *testing.T) {
	for _, s := range simulations(t) {
		t.Run(s.kernel.name, func(t *testing.T) {
			s.t = t
			k := s.asKernel()
			keys := make([]Key, k.lanes)
			for i := range keys {
				keys[i].Set((*[KeySize]byte)(random(KeySize)))
			}
			for _, length := range []int{0, 1, 15, 16, 17, 63, 64, 65, 100, 1420} {
				if !k.selfTestAt(keys, length) {
					t.Errorf("texts of %d bytes: the self-test fails", length)
				}
				t.Log(length, s.result.Steps)
			}
		})
	}
}
