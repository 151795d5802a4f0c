// Package emulate executes the assembly of package aead on a simulated
// processor. It serves proofs only; no program contains it.
//
// It reads the very file that is shipped, in the syntax of Go's assembler, so
// what it proves is true of that file as far as the assembler and the
// definitions of the instructions here are right. It makes kernels testable on
// machines whose processor lacks their instructions, and it watches over what
// no test on a real processor sees:
//
//   - every byte that is read or written lies in a region that was named, and
//     nothing is written to one that may only be read;
//   - nothing secret decides: no address, no jump and no mask of a memory
//     access is computed from bytes that were marked secret;
//   - a jump uses only flags that the instructions before it define;
//   - on return the stack and frame pointers are as they were, and the upper
//     halves of the vector registers are clear.
//
// The instructions are those that the kernels use and no others, defined as in
// Intel's Software Developer's Manual, volume 2. Reading an unknown one is an error.
package emulate

import (
	"errors"
	"fmt"
)

// A Region is memory that a program may use: Data, at the address Base.
type Region struct {
	Name     string
	Base     uint64
	Data     []byte
	Secret   []bool // which bytes are secret, as long as Data; nil: none, ever
	ReadOnly bool
}

// Result is what a run was, apart from what it did to memory.
type Result struct {
	// Steps is the number of instructions executed.
	Steps int
	// Trace is a hash of the addresses of all of them, and of all memory they
	// touched, in order. A program in constant time gives the same one for every
	// secret.
	Trace uint64
}

// maxSteps ends a program that does not.
const maxSteps = 5_000_000

// Run calls the program with these arguments, as they lie on the stack.
// Everything else that it touches must be in a region. Registers and the local
// frame begin with what garbage makes of them, for nothing may depend on it.
func (p *Program) Run(args []byte, regions []Region, garbage uint64) (Result, error) {
	if len(args) != p.argSize {
		return Result{}, fmt.Errorf("%s takes %d bytes of arguments, not %d", p.Name, p.argSize, len(args))
	}
	c := newCPU(p, args, regions, garbage)
	err := c.run()
	return Result{c.steps, c.trace}, err
}

// A cpu is the state of one run.
type cpu struct {
	program *Program
	regions []Region
	last    int // the region of the last access

	general       [16]uint64
	generalSecret [16]bool
	vectors       [32]vec
	vectorSecret  [32]bool
	masks         [8]uint64
	maskSecret    [8]bool
	flags         flags

	pc       int // of the next instruction
	returned bool
	steps    int
	trace    uint64
	args     uint64 // the address of the arguments
}

// The numbers of the general registers with duties.
const (
	regSP = 4
	regBP = 5
)

// The stack of a program. It is aligned as badly as Go may align it.
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
		// What is above the 16 bytes that Go's own code uses, is clear.
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
	// A result may be written among the arguments, but no secret into it.
	c.regions = append(c.regions, regions...)
	c.regions = append(c.regions, frame, Region{Name: "arguments", Base: argsBase, Data: args})
	c.regions = append(c.regions, p.file.constants...)
	return c
}

// A fault is how an instruction ends a run.
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
		c.pc++
		if c.steps++; c.steps > maxSteps {
			c.failf("does not end")
		}
		in.step(c)
	}
	return c.checkReturn(&begin)
}

// record adds to the trace (FNV-1a, over words).
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
