package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

// forTests has the declarations outside of rooms for tests that only tests use, each
// with the reason why it exists.
var forTests = map[string]string{
	"internal/dataplane.Decapsulator.Decapsulate": "sim and tests need no goroutines, and no three calls",
	"internal/dataplane.Encapsulator.Encapsulate": "sim and tests need no goroutines, and no three calls",
	"internal/cookie.NewChecker":                  "tests answer like a daemon under load",
	"internal/cookie.NewMaker":                    "tests write handshakes without a machine",
	"internal/driver.Inbox.WaitingCookies":        "tests of engine look at its queues under a flood",
	"internal/core.Job.Run":                       "sim and tests run jobs one by one",
	"internal/driver.Jobs.OwnWaiting":             "tests of engine check whether a storm is still going on",
	"internal/wire.DataCounter":                   "tests look at the counters of messages; session has its own reader",
}

// TestNothingIsForTestsOnly: what is declared outside of tests and of rooms for tests
// is also used outside of them. The exported names of the library are for other
// programs.
func TestNothingIsForTestsOnly(t *testing.T) {
	p := newProgram(t)
	p.load()
	unused := map[string]bool{}
	for _, d := range p.unused() {
		unused[d.name] = true
		if forTests[d.name] == "" {
			t.Errorf("%s: %s is used by tests only, or not at all: remove it, or move it to a test", d.at, d.name)
		}
	}
	for name := range forTests {
		if !unused[name] {
			t.Errorf("%s need not be an exception: it is used, or does not exist", name)
		}
	}
}

// library are the rooms that other programs may import.
var library = []string{"wg", "key", "conf", "netstack"}

// A program has all packages of the module, without tests, with their types.
type program struct {
	t          *testing.T
	fset       *token.FileSet
	checked    map[string]*types.Package // by their import paths
	compiled   types.Importer            // of all other packages
	objects    []types.Object            // what packages declare, except rooms for tests
	uses       map[types.Object]bool     // what is used outside of tests and of rooms for tests
	interfaces []*types.Interface        // of all packages, and of those that they import
	methods    map[string]bool           // of those in uses: their names and types
	other      map[string]bool           // names in files for other systems
}

func newProgram(t *testing.T) *program {
	p := &program{
		t: t, fset: token.NewFileSet(), checked: map[string]*types.Package{}, compiled: importer.Default(),
		uses: map[types.Object]bool{}, other: map[string]bool{},
	}
	p.declaredInterfaces(types.Universe) // error
	return p
}

// A goPackage is what go list prints about a package.
type goPackage struct {
	ImportPath, Dir, Export string
	GoFiles, IgnoredGoFiles []string
	Module                  *struct{ Path string }
}

func (l goPackage) ours() bool {
	return l.Module != nil && (l.Module.Path == module || l.Module.Path == module+"/"+peersModule)
}

// load checks the types of all packages, imported packages first, and then those of
// peersModule, which may be the only ones that use something.
func (p *program) load() {
	exports := map[string]string{}
	p.compiled = importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	p.loadModule("../..", exports)
	p.loadModule("../../"+peersModule, exports)
}

// loadModule checks the packages of one module, and those that it needs of the other one.
func (p *program) loadModule(dir string, exports map[string]string) {
	cmd := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles,IgnoredGoFiles,Module", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%v: %v", cmd, err)
	}
	var ours []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l goPackage
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			p.t.Fatal(err)
		}
		exports[l.ImportPath] = l.Export
		if l.ours() && p.checked[l.ImportPath] == nil {
			ours = append(ours, l)
		}
	}
	for _, l := range ours {
		var files []*ast.File
		for _, name := range l.GoFiles {
			files = append(files, p.parse(filepath.Join(l.Dir, name), nil))
		}
		p.check(l.ImportPath, files)
		for _, name := range l.IgnoredGoFiles {
			if !strings.HasSuffix(name, "_test.go") {
				p.leaveOut(p.parse(filepath.Join(l.Dir, name), nil))
			}
		}
	}
}

func (p *program) parse(name string, text any) *ast.File {
	file, err := parser.ParseFile(p.fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		p.t.Fatal(err)
	}
	return file
}

// Import returns the package with a path: one that was already checked, or a
// compiled one.
func (p *program) Import(path string) (*types.Package, error) {
	if pkg := p.checked[path]; pkg != nil {
		return pkg, nil
	}
	return p.compiled.Import(path)
}

// leaveOut records all names in a file for another system.
func (p *program) leaveOut(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			p.other[id.Name] = true
		}
		return true
	})
}

// check checks one package, and records what it declares and uses.
func (p *program) check(path string, files []*ast.File) {
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	pkg, err := (&types.Config{Importer: p}).Check(path, p.fset, files, info)
	if err != nil {
		p.t.Fatal(err)
	}
	p.checked[path] = pkg
	if rooms[strings.TrimPrefix(path, module+"/")].forTests {
		return
	}
	for _, object := range info.Uses {
		p.uses[origin(object)] = true
	}
	for _, object := range info.Defs {
		if object != nil {
			p.objects = append(p.objects, object)
		}
	}
	for expr, tv := range info.Types {
		switch expr := expr.(type) {
		case *ast.InterfaceType:
			p.interfaces = append(p.interfaces, tv.Type.(*types.Interface))
		case *ast.CompositeLit:
			p.noteFields(expr, tv.Type)
		}
	}
	for _, imported := range append(pkg.Imports(), pkg) {
		p.declaredInterfaces(imported.Scope())
	}
	p.noteLists(files, info)
}

// noteFields records all fields of a composite literal without field names as used.
func (p *program) noteFields(value *ast.CompositeLit, t types.Type) {
	s, ok := t.Underlying().(*types.Struct)
	if !ok || len(value.Elts) == 0 {
		return
	}
	if _, named := value.Elts[0].(*ast.KeyValueExpr); named {
		return
	}
	for f := range s.Fields() {
		p.uses[f.Origin()] = true
	}
}

// noteLists records all constants of a list as used if any of them is. A list has all
// the values of one thing, by iota or as numbers.
func (p *program) noteLists(files []*ast.File, info *types.Info) {
	for _, file := range files {
		for _, d := range file.Decls {
			group, ok := d.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			var list []types.Object
			used := false
			for _, spec := range group.Specs {
				spec := spec.(*ast.ValueSpec)
				for i, id := range spec.Names {
					if i < len(spec.Values) && !isListed(spec.Values[i]) {
						continue
					}
					list = append(list, info.Defs[id])
					used = used || p.uses[info.Defs[id]]
				}
			}
			for _, c := range list {
				p.uses[c] = p.uses[c] || used
			}
		}
	}
}

// isListed reports whether a value is a literal, or iota.
func isListed(value ast.Expr) bool {
	switch value := value.(type) {
	case *ast.BasicLit:
		return true
	case *ast.Ident:
		return value.Name == "iota"
	}
	return false
}

// origin returns the generic declaration of an instance.
func origin(object types.Object) types.Object {
	switch object := object.(type) {
	case *types.Func:
		return object.Origin()
	case *types.Var:
		return object.Origin()
	}
	return object
}

func (p *program) declaredInterfaces(scope *types.Scope) {
	for _, name := range scope.Names() {
		if t, ok := scope.Lookup(name).(*types.TypeName); ok {
			if i, ok := t.Type().Underlying().(*types.Interface); ok {
				p.interfaces = append(p.interfaces, i)
			}
		}
	}
}

type declaration struct{ name, at string }

// unused returns the declarations that nothing outside of tests uses.
func (p *program) unused() (list []declaration) {
	for _, object := range p.objects {
		kind := kindOf(object)
		if kind == "" || p.uses[object] || p.other[object.Name()] {
			continue
		}
		room := strings.TrimPrefix(object.Pkg().Path(), module+"/")
		if object.Exported() && slices.Contains(library, room) {
			continue
		}
		f, ok := object.(*types.Func)
		if ok && f.Signature().Recv() != nil && p.isCalledThroughAnInterface(f) {
			continue
		}
		name := room + "." + object.Name()
		if ok && f.Signature().Recv() != nil {
			name = room + "." + receiver(f) + "." + f.Name()
		}
		at := p.fset.Position(object.Pos())
		list = append(list, declaration{name, fmt.Sprintf("%s/%s:%d", room, filepath.Base(at.Filename), at.Line)})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list
}

// kindOf returns the kind of an object, or "" if it is not checked.
func kindOf(object types.Object) string {
	global := object.Pkg() != nil && object.Parent() == object.Pkg().Scope()
	switch o := object.(type) {
	case *types.Func:
		if name := o.Name(); name == "_" || global && (name == "main" || name == "init") {
			return ""
		}
		return "function"
	case *types.Var:
		if o.Name() == "_" || o.Embedded() || !o.IsField() && !global {
			return ""
		}
		return "variable"
	case *types.Const, *types.TypeName:
		if o.Name() == "_" || !global {
			return ""
		}
		return "type or constant"
	}
	return ""
}

func receiver(f *types.Func) string {
	t := f.Signature().Recv().Type()
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem()
	}
	if named, ok := t.(*types.Named); ok {
		return named.Obj().Name()
	}
	return "interface"
}

// byReflection are methods that the standard library looks for with unnamed
// interfaces.
var byReflection = []string{"Unwrap", "Is", "As", "Timeout", "Temporary"}

// isUsedElsewhere reports whether the same method of another type is used: a value may
// be passed on as a smaller interface.
func (p *program) isUsedElsewhere(m *types.Func) bool {
	if p.methods == nil {
		p.methods = map[string]bool{}
		for object := range p.uses {
			if f, ok := object.(*types.Func); ok && f.Signature().Recv() != nil {
				p.methods[f.Name()+types.TypeString(f.Type(), nil)] = true
			}
		}
	}
	return p.methods[m.Name()+types.TypeString(m.Type(), nil)]
}

// isCalledThroughAnInterface reports whether a method belongs to an interface that its
// type implements, and is used there, or the interface is one of another module.
func (p *program) isCalledThroughAnInterface(f *types.Func) bool {
	if slices.Contains(byReflection, f.Name()) {
		return true
	}
	t := f.Signature().Recv().Type()
	if types.IsInterface(t) {
		return p.isUsedElsewhere(f)
	}
	if _, ok := t.(*types.Pointer); !ok {
		t = types.NewPointer(t)
	}
	for _, i := range p.interfaces {
		for m := range i.Methods() {
			if m.Name() != f.Name() || !types.Implements(t, i) {
				continue
			}
			if m.Pkg() == nil || !strings.HasPrefix(m.Pkg().Path()+"/", module+"/") || p.uses[m] || p.isUsedElsewhere(m) {
				return true
			}
		}
	}
	return false
}

// TestUnusedAreSeen tests the check itself.
func TestUnusedAreSeen(t *testing.T) {
	p := newProgram(t)
	add := func(path string, texts ...string) {
		var files []*ast.File
		for i, text := range texts {
			files = append(files, p.parse(path+"/"+string(rune('a'+i))+".go", text))
		}
		p.check(module+"/"+path, files)
	}
	add("conf", `package conf
		func ForOthers() { used() }
		func used() {}
		func unused() {}`)
	add("internal/wire", `package wire
		type Used struct { A, b int; Unset int }
		func New() *Used { return &Used{A: 1} }
		func (u *Used) Called() int { return u.b }
		func (u *Used) Uncalled() {}
		func (u *Used) Read() {}
		func (u *Used) Unread() {}
		func (u *Used) Error() string { return "" }
		func (u *Used) Unwrap() error { return nil }
		type reader interface { Read(); Unread() }
		var r reader = New()
		func init() { r.Read(); var _ int = New().Called() }
		type pair struct { X, Y int }
		var _ = pair{1, 2}
		type Dead int
		const ( One = 1; Two = 2 )
		const ( three = iota; four )
		const ( five = 5; six = 5 + 1 )
		var _, _ = One, four
		func For[T any](t T) T { return t }
		var _ = For(five)
		func ForSim() {}
		func ForArm() {}`)
	add("internal/sim", `package sim
		import "wgd/internal/wire"
		func Sim() { wire.ForSim() }`)
	p.leaveOut(p.parse("arm.go", `package wire
		func arm() { ForArm() }`))
	var got []string
	for _, d := range p.unused() {
		got = append(got, d.name)
	}
	want := []string{
		"conf.unused", "internal/wire.Dead", "internal/wire.ForSim", "internal/wire.Unset",
		"internal/wire.Used.Uncalled", "internal/wire.Used.Unread", "internal/wire.reader.Unread", "internal/wire.six",
	}
	if !slices.Equal(got, want) {
		t.Errorf("unused are\n%q, want\n%q", got, want)
	}
}
