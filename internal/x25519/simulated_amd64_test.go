package x25519

import (
	"bytes"
	"encoding/binary"
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
	for _, k := range kernels {
		name := runtime.FuncForPC(reflect.ValueOf(k.run).Pointer()).Name()
		name = name[strings.LastIndexByte(name, '.')+1:]
		text, err := os.ReadFile(name + "_amd64.s")
		if err != nil {
			t.Fatal(err)
		}
		file, err := emulate.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", k.name, err)
		}
		all = append(all, &simulation{kernel: k, program: file.Program(name), native: k.supported(), garbage: 1, t: t})
	}
	return all
}

// simulatedKernels returns kernels that run on the simulated processor.
func simulatedKernels(t testing.TB) (all []kernel) {
	for _, s := range simulations(t) {
		s.t = t
		all = append(all, s.asKernel())
	}
	return all
}

// asKernel returns a kernel that runs the simulation.
func (s *simulation) asKernel() kernel {
	k := s.kernel
	k.minMultiplications = 1
	k.run = s.run
	return k
}

func (s *simulation) run(work *group) {
	regions := regionsOf(work)
	native := *work
	if s.native {
		s.kernel.run(&native)
	}
	args := binary.LittleEndian.AppendUint64(nil, uint64(uintptr(unsafe.Pointer(work))))
	var err error
	if s.result, err = s.program.Run(args, regions, s.garbage); err != nil {
		s.t.Fatal(err)
	}
	for limb := range s.kernel.widths {
		got, want := work.product[limb][:s.kernel.lanes], native.product[limb][:s.kernel.lanes]
		if s.native && !slices.Equal(got, want) {
			s.t.Fatalf("limb %d differs between the processor and the simulation", limb)
		}
	}
	s.garbage++
}

// regionsOf returns the memory that a kernel may access, all of it secret.
func regionsOf(work *group) []emulate.Region {
	regions := []emulate.Region{
		region("swap", unsafe.Pointer(&work.swap), unsafe.Sizeof(work.swap)),
		region("point", unsafe.Pointer(&work.point), unsafe.Sizeof(work.point)),
		region("product", unsafe.Pointer(&work.product), unsafe.Sizeof(work.product)),
		region("scratch", unsafe.Pointer(&work.scratch), unsafe.Sizeof(work.scratch)),
	}
	for i := range regions {
		regions[i].ReadOnly = i < 2
		regions[i].Secret = slices.Repeat([]bool{true}, len(regions[i].Data))
	}
	return regions
}

func region(name string, at unsafe.Pointer, size uintptr) emulate.Region {
	return emulate.Region{Name: name, Base: uint64(uintptr(at)), Data: unsafe.Slice((*byte)(at), size)}
}

// On the simulated processor every kernel passes its self-test, accesses only its
// memory, and does not branch on secrets. If this processor supports the kernel,
// both compute the same limbs.
func TestSimulated(t *testing.T) {
	if raceEnabled {
		t.Log("the simulated processor is skipped under the race detector; make kernels uses it")
		return
	}
	for _, s := range simulations(t) {
		t.Run(s.kernel.name, func(t *testing.T) {
			s.t = t
			k := s.asKernel()
			if !k.selfTest() {
				t.Error("the self-test fails")
			}
			t.Log(s.result.Steps, "instructions")
		})
	}
}

// Secrets affect neither the instructions that a kernel executes nor the addresses
// that it accesses; and it leaves no secret in a vector register.
func TestProofOfConstantTime(t *testing.T) {
	rounds := 6
	if raceEnabled {
		rounds = 2
	}
	for _, s := range simulations(t) {
		s.t, s.native = t, false
		work := new(group)
		var traces []uint64
		for round := range rounds {
			for i := range work.swap {
				for lane := range work.swap[i] {
					work.swap[i][lane] = [...]uint64{0, ^uint64(0), randomWord()}[min(round, 2)]
				}
			}
			for i, width := range s.kernel.widths {
				for lane := range work.point[i] {
					work.point[i][lane] = [...]uint64{0, ^uint64(0), randomWord()}[min(round, 2)] & (1<<width - 1)
				}
			}
			copy(work.scratch[:], random(scratchSize))
			s.run(work)
			traces = append(traces, s.result.Trace)
		}
		if slices.Min(traces) != slices.Max(traces) {
			t.Errorf("%s: the trace depends on the secrets: %x", s.kernel.name, traces)
		}
		for i, secret := range s.result.Secret {
			if secret && (i < 16 || s.kernel.lanes == maxLanes) {
				t.Errorf("%s: vector register %d may hold a secret on return", s.kernel.name, i)
			}
		}
	}
}

// The result depends neither on earlier contents of the scratch and the product,
// nor on those of the registers.
func TestProofOfStaleState(t *testing.T) {
	if raceEnabled {
		t.Log("the simulated processor is skipped under the race detector; make kernels uses it")
		return
	}
	for _, s := range simulations(t) {
		s.t, s.native = t, false
		clean := s.asKernel()
		stale := clean
		stale.run = func(work *group) {
			copy(work.scratch[:], random(scratchSize))
			for i := range work.product {
				for lane := range work.product[i] {
					work.product[i][lane] = randomWord()
				}
			}
			s.garbage = randomWord() | 1
			s.run(work)
		}
		scalars, points := randomPairs(s.kernel.lanes)
		compare(t, &clean, scalars, points)
		compare(t, &stale, scalars, points)
	}
}

// A35: after a group, nothing of it is left in memory but its points, which are
// public.
func TestProofOfErasing(t *testing.T) {
	for _, k := range kernels {
		if !k.supported() {
			t.Logf("%s: not supported by this processor", k.name)
			continue
		}
		var at *group
		run := k.run
		k.run = func(work *group) {
			run(work)
			at = work
			if bytes.Equal(work.scratch[:], make([]byte, scratchSize)) || work.swap == [4][maxLanes]uint64{} {
				t.Error("the group has no secrets before it is erased: this test shows nothing")
			}
		}
		scalars, points := randomPairs(k.lanes)
		compare(t, &k, scalars, points)
		if at.swap != [4][maxLanes]uint64{} || at.product != [maxLimbs][maxLanes]uint64{} || at.scratch != [scratchSize]byte{} {
			t.Errorf("%s: the group still has secrets", k.name)
		}
	}
}
