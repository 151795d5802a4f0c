// Package emulate executes the assembly of packages aead and x25519 on a
// simulated processor. It is used by tests only.
//
// It parses the file that is shipped, in the syntax of Go's assembler. So what
// it proves holds for that file, provided that the assembler and the
// definitions of the instructions here are right. With it, kernels can be
// tested on machines that lack their instructions, and it checks what no test
// on a real processor can:
//
//   - every byte that is read or written is in a declared region, and nothing is
//     written to a read-only region;
//   - no address, no conditional jump and no mask of a memory access depends on
//     bytes that are marked secret;
//   - a jump uses only flags that earlier instructions define;
//   - on return the stack and frame pointers have their initial values, and the
//     upper parts of the vector registers are zero.
//
// It knows the instructions that the kernels use and some related ones, defined
// as in Intel's Software Developer's Manual, volume 2. Any other one is an
// error.
package emulate

import (
	"errors"
	"fmt"
)

// A Region is memory that a program may access: Data, at the address Base.
type Region struct {
	Name     string
	Base     uint64
	Data     []byte
	Secret   []bool // marks secret bytes, as long as Data; nil: no byte may be secret
	ReadOnly bool
}

// A Result describes a run, apart from its effect on memory.
type Result struct {
	// Steps is the number of instructions executed.
	Steps int
	// Trace is a hash of the addresses of all executed instructions and of all
	// memory that they accessed, in order. A program that runs in constant time
	// has the same trace for every secret.
	Trace uint64
	// Secret tells for each vector register whether it may hold a secret, or
	// what it held before the run.
	Secret [32]bool
}

// maxSteps is the number of instructions after which a run fails.
const maxSteps = 5_000_000

// Run calls the program with these arguments, as laid out on the stack. All
// other memory that it accesses must be in a region. Registers and the local
// frame are filled with random values from the seed garbage, because nothing
// may depend on them.
func (p *Program) Run(args []byte, regions []Region, garbage uint64) (Result, error) {
	if len(args) != p.argSize {
		return Result{}, fmt.Errorf("%s takes %d bytes of arguments, not %d", p.Name, p.argSize, len(args))
	}
	c := newCPU(p, args, regions, garbage)
	err := c.run()
	return Result{c.steps, c.trace, c.vectorSecret}, err
}

// A cpu is the state of one run.
type cpu struct {
	program *Program
	regions []Region
	last    int // index of the last accessed region

	general       [16]uint64
	generalSecret [16]bool
	vectors       [32]vec
	vectorSecret  [32]bool
	masks         [8]uint64
	maskSecret    [8]bool
	flags         flags

	pc       int // index of the next instruction
	returned bool
	steps    int
	trace    uint64
	args     uint64 // address of the arguments
}

// The numbers of the stack and frame pointers.
const (
	regSP = 4
	regBP = 5
)

// The addresses of a program's stack, with the least alignment that Go
// guarantees.
const (
	stackBase = 0x7f00_0000_0008
	argsBase  = 0x7f00_1000_0008
)

func newCPU(p *Program, args []byte, regions []Region, garbage uint64) *cpu {
	c := &cpu{program: p, args: argsBase, trace: 14695981039346656037}
	noise := garbage
	next := func() uint64 { // xorshift
		noise ^= noise << 13
		noise ^= noise >> 7
		noise ^= noise << 17
		return noise
	}
	for i := range c.general {
		c.general[i], c.generalSecret[i] = next(), true
	}
	for i := range c.vectors {
		for j := range c.vectors[i] {
			c.vectors[i][j] = next()
		}
		// Everything above the 16 bytes that Go's own code uses is zero.
		clear(c.vectors[i][2:])
		c.vectorSecret[i] = true
	}
	for i := range c.masks {
		c.masks[i], c.maskSecret[i] = next(), true
	}
	frame := Region{Name: "frame", Base: stackBase, Data: make([]byte, p.frameSize), Secret: make([]bool, p.frameSize)}
	for i := range frame.Data {
		frame.Data[i], frame.Secret[i] = byte(next()), true
	}
	c.general[regSP], c.generalSecret[regSP] = stackBase, false
	// A result may be written to the arguments, but must not be secret.
	c.regions = append(c.regions, regions...)
	c.regions = append(c.regions, frame, Region{Name: "arguments", Base: argsBase, Data: args})
	c.regions = append(c.regions, p.file.constants...)
	return c
}

// A fault is the panic value with which an instruction ends a run.
type fault struct{ error }

func (c *cpu) failf(format string, args ...any) {
	panic(fault{fmt.Errorf(format, args...)})
}

func (c *cpu) run() (err error) {
	begin := *c
	defer func() {
		if f, ok := recover().(fault); ok {
			err = fmt.Errorf("%s, line %d: %s: %w", c.program.Name, c.program.code[c.pc-1].line, c.program.code[c.pc-1].text, f.error)
		}
	}()
	for !c.returned {
		if c.pc >= len(c.program.code) {
			return errors.New(c.program.Name + " runs past its end")
		}
		in := &c.program.code[c.pc]
		c.record(uint64(c.pc))
		in.reached = true
		c.pc++
		if c.steps++; c.steps > maxSteps {
			c.failf("does not end")
		}
		in.step(c)
	}
	return c.checkReturn(&begin)
}

// record adds x to the trace (FNV-1a, over words).
func (c *cpu) record(x uint64) {
	c.trace = (c.trace ^ x) * 1099511628211
}

func (c *cpu) checkReturn(begin *cpu) error {
	if c.general[regSP] != begin.general[regSP] || c.general[regBP] != begin.general[regBP] {
		return errors.New(c.program.Name + " returns with another stack or frame pointer")
	}
	for i, v := range c.vectors[:16] {
		if v[2]|v[3]|v[4]|v[5]|v[6]|v[7] != 0 {
			return fmt.Errorf("%s returns with the upper part of Z%d in use: VZEROUPPER is missing", c.program.Name, i)
		}
	}
	return nil
}
