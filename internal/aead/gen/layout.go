package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// newContext begins a kernel with its signature. It reads the layout of a group
// from the file that is also compiled into the package.
func newContext(name string) (*build.Context, error) {
	files := token.NewFileSet()
	source, err := parser.ParseFile(files, "../group.go", nil, 0)
	if err != nil {
		return nil, err
	}
	pkg, err := new(types.Config).Check("wgd/internal/aead", files, []*ast.File{source}, nil)
	if err != nil {
		return nil, err
	}
	signature, err := gotypes.ParseSignatureInPackage(pkg, "func(work *group, open bool)")
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

// field returns the address of a field of the group, whose address is in at.
func field(c *build.Context, at reg.Register, name string) operand.Mem {
	f := c.Param("work").Dereference(at).Field(name)
	for {
		if b, err := f.Resolve(); err == nil {
			return b.Addr
		}
		f = f.Index(0)
	}
}

// table defines a constant of 32-bit words in read-only memory.
func table(c *build.Context, name string, words ...uint32) operand.Mem {
	m := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for _, w := range words {
		c.AppendDatum(operand.U32(w))
	}
	return m
}
