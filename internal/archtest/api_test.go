package archtest

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write api.txt instead of comparing it")

// apiFile has one line for each exported name, field and method of the library.
const apiFile = "api.txt"

// TestAPI: the exported names of the library are those in apiFile, so that no
// change of them goes unnoticed. After an intended one, run
//
//	go test ./internal/archtest -run TestAPI -update
//
// No exported declaration mentions a type that users of the library cannot name.
func TestAPI(t *testing.T) {
	got, faults := api(t)
	for _, fault := range faults {
		t.Error(fault)
	}
	if *update {
		if err := os.WriteFile(apiFile, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(apiFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range apiChanges(strings.Split(strings.TrimSpace(string(text)), "\n"), got) {
		t.Error(fault)
	}
}

// apiChanges returns the lines that are not in both lists.
func apiChanges(recorded, got []string) (faults []string) {
	for _, line := range recorded {
		if !slices.Contains(got, line) {
			faults = append(faults, "the library has no more: "+line+" (if that is intended, run this test with -update)")
		}
	}
	for _, line := range got {
		if !slices.Contains(recorded, line) {
			faults = append(faults, "new in the library: "+line+" (if that is intended, run this test with -update)")
		}
	}
	return faults
}

// api returns the lines of all rooms of the library, and what is wrong with them.
func api(t *testing.T) (lines, faults []string) {
	t.Helper()
	var paths []string
	for _, room := range library {
		paths = append(paths, "wgd/"+room)
	}
	load := importer.ForCompiler(token.NewFileSet(), "gc", exportData(t, paths))
	for _, path := range paths {
		p, err := load.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		a := apiOf(p)
		lines, faults = append(lines, a.lines...), append(faults, a.faults...)
	}
	slices.Sort(lines)
	return lines, faults
}

// exportData returns what opens the compiler's description of a package.
func exportData(t *testing.T, paths []string) func(path string) (io.ReadCloser, error) {
	t.Helper()
	list := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}, paths...)...)
	list.Dir = "../.."
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.Bytes())
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

// An apiWriter collects the lines of one package.
type apiWriter struct {
	p      *types.Package
	lines  []string
	faults []string
}

func apiOf(p *types.Package) *apiWriter {
	w := &apiWriter{p: p}
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		switch object := object.(type) {
		case *types.Const:
			w.add("const %s %s = %s", name, w.text(object.Type()), object.Val().ExactString())
		case *types.Var:
			w.add("var %s %s", name, w.text(object.Type()))
		case *types.Func:
			w.add("func %s%s", name, w.signature(object))
		case *types.TypeName:
			w.declaration(object)
		}
	}
	return w
}

func (w *apiWriter) add(format string, args ...any) {
	w.lines = append(w.lines, "pkg "+w.p.Path()+", "+fmt.Sprintf(format, args...))
}

func (w *apiWriter) declaration(object *types.TypeName) {
	name := object.Name()
	switch t := object.Type().Underlying().(type) {
	case *types.Struct:
		w.add("type %s struct", name)
		for i := range t.NumFields() {
			if f := t.Field(i); f.Exported() {
				w.add("type %s struct, %s %s", name, f.Name(), w.text(f.Type()))
			}
		}
	case *types.Interface:
		w.add("type %s interface", name)
		for i := range t.NumMethods() {
			w.add("type %s interface, %s%s", name, t.Method(i).Name(), w.signature(t.Method(i)))
		}
		return
	default:
		w.add("type %s %s", name, w.text(t))
	}
	of := map[string]bool{}
	values := types.NewMethodSet(object.Type())
	for i := range values.Len() {
		of[values.At(i).Obj().Name()] = true
	}
	all := types.NewMethodSet(types.NewPointer(object.Type())) // with those of embedded types
	for i := range all.Len() {
		method := all.At(i).Obj().(*types.Func)
		if !method.Exported() {
			continue
		}
		receiver := "*" + name
		if of[method.Name()] {
			receiver = name
		}
		w.add("method (%s) %s%s", receiver, method.Name(), w.signature(method))
	}
}

// signature returns the parameters and results, without their names.
func (w *apiWriter) signature(f *types.Func) string {
	s := f.Signature()
	nameless := func(list *types.Tuple) *types.Tuple {
		var vars []*types.Var
		for v := range list.Variables() {
			vars = append(vars, types.NewParam(token.NoPos, nil, "", v.Type()))
		}
		return types.NewTuple(vars...)
	}
	plain := types.NewSignatureType(nil, nil, nil, nameless(s.Params()), nameless(s.Results()), s.Variadic())
	return strings.TrimPrefix(w.text(plain), "func")
}

// text returns a type, with the paths of packages. It notes a fault if a user of
// the library cannot name the type.
func (w *apiWriter) text(t types.Type) string {
	text := types.TypeString(t, func(p *types.Package) string {
		if hidden(p.Path()) {
			w.fault("a type of "+p.Path(), t)
		}
		return p.Path()
	})
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("*[](){}, ", r) }) {
		path, name, qualified := cutLast(word, ".")
		if qualified && path == w.p.Path() && !ast.IsExported(name) {
			w.fault("the unexported type "+name, t)
		}
	}
	return text
}

func (w *apiWriter) fault(what string, t types.Type) {
	w.faults = append(w.faults, fmt.Sprintf("%s: %v mentions %s", w.p.Path(), t, what))
}

// hidden reports whether users of the library should not know the package.
func hidden(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	ours := strings.HasPrefix(path, "wgd/") && slices.Contains(library, strings.TrimPrefix(path, "wgd/"))
	return !ours && (first == "wgd" || strings.Contains(first, "."))
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// packagesOf is an importer of packages that have one exported type, T.
type packagesOf []string

func (list packagesOf) Import(path string) (*types.Package, error) {
	if !slices.Contains(list, path) {
		return nil, fmt.Errorf("no package %s", path)
	}
	p := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	name := types.NewTypeName(token.NoPos, p, "T", nil)
	types.NewNamed(name, types.Typ[types.Int], nil)
	p.Scope().Insert(name)
	p.MarkComplete()
	return p, nil
}

// TestAPIFaultsAreSeen tests the check itself.
func TestAPIFaultsAreSeen(t *testing.T) {
	const header = "package wg\nimport (\n\"wgd/internal/x\"\n\"gvisor.dev/y\"\n\"wgd/conf\"\n\"net/netip\"\n)\n" +
		"var _, _, _, _ = x.T(0), y.T(0), conf.T(0), netip.T(0)\ntype u int\n"
	for code, want := range map[string]int{
		"func F(conf.T) netip.T { return 0 }":                    0,
		"func F(x.T) {}":                                         1,
		"func F() (y.T, error) { return 0, nil }":                1,
		"func f(x.T) {}":                                         0,
		"var V = x.T(0)":                                         1,
		"var v = x.T(0)":                                         0,
		"type S struct { A []*x.T; b x.T }":                      1,
		"type S struct{}\nfunc (*S) M(map[string]y.T) {}":        1,
		"type S struct{ s }\ntype s int\nfunc (s) M(x.T) {}":     1,
		"type S struct{ s }\ntype s int\nfunc (s) m(x.T) {}":     0,
		"type I interface { M(x.T) }":                            1,
		"type T func(x.T)":                                       1,
		"func F(u) {}":                                           1,
		"func F(func(*u)) {}":                                    1,
		"type E = int\nconst C E = 1\ntype N u\nfunc (N) M() {}": 0,
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "a.go", header+code, 0)
		if err != nil {
			t.Fatal(err)
		}
		config := types.Config{Importer: packagesOf{"wgd/internal/x", "gvisor.dev/y", "wgd/conf", "net/netip"}}
		p, err := config.Check("wgd/wg", fset, []*ast.File{file}, nil)
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		if faults := apiOf(p).faults; len(faults) != want {
			t.Errorf("%s\nhas the faults %q, want %d", code, faults, want)
		}
	}
	if faults := apiChanges([]string{"a", "b"}, []string{"b", "c"}); len(faults) != 2 {
		t.Errorf("got %q, want that a is gone and c is new", faults)
	}
}
