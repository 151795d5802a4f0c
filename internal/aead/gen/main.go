// Command gen generates the kernels of internal/aead: the assembly and the
// declarations of its functions. Run it with go generate ./internal/aead; it
// writes to the parent of the folder that it runs in.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// A program is one kernel: the name of its files, and the function that emits
// its instructions. The generated function is
//
//	func <name>(work *group, open bool)
type program struct {
	name string
	emit func(*build.Context)
}

var programs = []program{
	{"avx512", avx512},
	{"avx512ifma", avx512ifma},
	{"avx2", avx2},
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
	p.emit(c)
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
	cfg := printer.Config{Name: "gen", Argv: []string{"go", "generate", "./internal/aead"}, Pkg: "aead"}
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
