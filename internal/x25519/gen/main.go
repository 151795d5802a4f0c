// Command gen generates the kernels of internal/x25519: the assembly and the
// declarations of its functions. Run it with go generate ./internal/x25519; it
// writes to the parent of the folder that it runs in.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
	"github.com/mmcloughlin/avo/reg"
)

// A program is one kernel: the name of its files, and its arithmetic. The
// generated function is
//
//	func <name>(work *group)
type program struct {
	name  string
	field func(*build.Context) field
}

var programs = []program{
	{"avx2", newField25},
	{"avx512ifma", newField51},
}

func main() {
	for _, p := range programs {
		if err := p.generate(".."); err != nil {
			fmt.Fprintf(os.Stderr, "gen: %s: %v\n", p.name, err)
			os.Exit(1)
		}
	}
}

// file returns avo's representation of the program.
func (p program) file() (*ir.File, error) {
	c, err := newContext(p.name)
	if err != nil {
		return nil, err
	}
	emitLadder(c, p.field(c))
	return c.Result()
}

// generate writes the two files of a kernel.
func (p program) generate(dir string) error {
	file, err := p.file()
	if err != nil {
		return err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return err
	}
	cfg := printer.Config{Name: "gen", Argv: []string{"go", "generate", "./internal/x25519"}, Pkg: "x25519"}
	for suffix, make := range map[string]printer.Builder{"_amd64.s": printer.NewGoAsm, "_amd64.go": printer.NewStubs} {
		text, err := make(cfg).Print(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, p.name+suffix), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// newContext begins a kernel with its signature. It reads the layout of a group
// from the file that is also compiled into the package.
func newContext(name string) (*build.Context, error) {
	files := token.NewFileSet()
	source, err := parser.ParseFile(files, "../group.go", nil, 0)
	if err != nil {
		return nil, err
	}
	pkg, err := new(types.Config).Check("wgd/internal/x25519", files, []*ast.File{source}, nil)
	if err != nil {
		return nil, err
	}
	signature, err := gotypes.ParseSignatureInPackage(pkg, "func(work *group)")
	if err != nil {
		return nil, err
	}
	c := build.NewContext()
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Pragma("noescape")
	c.Signature(signature)
	return c, nil
}

// groupField returns the address of a field of the group, whose address is in
// work.
func groupField(c *build.Context, name string) operand.Mem {
	f := c.Param("work").Dereference(work).Field(name)
	for {
		if b, err := f.Resolve(); err == nil {
			return b.Addr
		}
		f = f.Index(0)
	}
}

// table defines a constant of 64-bit words in read-only memory.
func table(c *build.Context, name string, words ...uint64) operand.Mem {
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, w := range words {
		c.AppendDatum(operand.U64(w))
	}
	return m
}

// repeat returns a word that often.
func repeat(word uint64, times int) (words []uint64) {
	for range times {
		words = append(words, word)
	}
	return words
}

// Registers that keep their meaning throughout.
var (
	work    = reg.RDI
	scratch = reg.RSI // aligned
)
