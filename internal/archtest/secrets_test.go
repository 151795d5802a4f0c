package archtest

import (
	"bytes"
	"encoding/json"
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
	"strings"
	"testing"
)

// The trace of a panic contains the first ten words of the arguments of every active
// function, and so a part of every secret that was passed by value. Therefore no array
// that may be a secret is a parameter, receiver or result, nor is a struct that
// contains one. A secret is passed by its address, or as a handle such as those of
// package key.

// shortestSecret is the minimum length in bytes of an array that may be a secret: that
// of a cookie.
const shortestSecret = 16

// publicTypes are long enough, but not secret.
var publicTypes = map[string]string{
	module + "/key.Public":                "a public key",
	module + "/internal/wire.Initiation":  "as it is on the wire",
	module + "/internal/wire.Response":    "as it is on the wire",
	module + "/internal/wire.CookieReply": "as it is on the wire",
}

// withoutSecrets are the folders whose programs have no secrets of users.
var withoutSecrets = []string{"test/...", "internal/archtest", "internal/aead/emulate", "internal/aead/gen/...", "internal/packet/gen/...", "internal/x25519/gen/..."}

// TestNoSecretByValue: no function takes or returns a secret by value. A35
func TestNoSecretByValue(t *testing.T) {
	checked := 0
	for _, p := range listPackages(t) {
		room := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if p.Standard || !strings.HasPrefix(p.ImportPath, module+"/") || matches(room, withoutSecrets) {
			continue
		}
		checked++
		for _, fault := range secretsByValue(t, p.ImportPath, p.files(t), exportsOf(t)) {
			t.Error(fault)
		}
	}
	if checked < 30 {
		t.Errorf("%d packages were checked, want 30 at least", checked)
	}
}

// A listed is what go list prints about a package.
type listed struct {
	ImportPath, Dir, Export string
	Standard                bool
	GoFiles                 []string
}

func (p *listed) files(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, name := range p.GoFiles {
		text, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Join(p.ImportPath, name)] = string(text)
	}
	return texts
}

var packages []listed

// listPackages returns all packages of the module and what they import, compiled.
func listPackages(t *testing.T) []listed {
	t.Helper()
	if packages != nil {
		return packages
	}
	list := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,Standard,GoFiles", "./...")
	list.Dir = "../.."
	var out, complaints bytes.Buffer
	list.Stdout, list.Stderr = &out, &complaints
	if err := list.Run(); err != nil {
		t.Fatalf("go list: %v\n%s", err, &complaints)
	}
	for d := json.NewDecoder(&out); ; {
		var p listed
		err := d.Decode(&p)
		if err == io.EOF {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// exportsOf returns a function that opens the export data of a package.
func exportsOf(t *testing.T) func(path string) (io.ReadCloser, error) {
	return func(path string) (io.ReadCloser, error) {
		for _, p := range listPackages(t) {
			if p.ImportPath == path {
				return os.Open(p.Export)
			}
		}
		return nil, fmt.Errorf("%s: not listed", path)
	}
}

// secretsByValue returns the positions in the files of a package at which a function
// or method, also one of an interface, takes or returns what may be a secret.
func secretsByValue(t *testing.T, path string, texts map[string]string, exports func(string) (io.ReadCloser, error)) (faults []string) {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for name, text := range texts {
		f, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", exports)}
	if _, err := config.Check(path, fset, files, &info); err != nil {
		t.Fatal(err)
	}
	check := func(list *ast.FieldList, what string) {
		if list == nil {
			return
		}
		for _, f := range list.List {
			if secret := secretIn(info.Types[f.Type].Type); secret != "" {
				faults = append(faults, fmt.Sprintf("%v: a %s holds %s by value", fset.Position(f.Pos()), what, secret))
			}
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				check(n.Recv, "receiver")
			case *ast.FuncType:
				check(n.Params, "parameter")
				check(n.Results, "result")
			}
			return true
		})
	}
	slices.Sort(faults)
	return faults
}

// secretIn returns the array in t that may be a secret, or "". It looks only into types
// of this module: functions of other modules get addresses.
func secretIn(t types.Type) string {
	if named, ok := types.Unalias(t).(*types.Named); ok {
		pkg := named.Obj().Pkg()
		if pkg == nil || pkg.Path() != module && !strings.HasPrefix(pkg.Path(), module+"/") {
			return ""
		}
		if publicTypes[pkg.Path()+"."+named.Obj().Name()] != "" {
			return ""
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Array:
		if basic, ok := u.Elem().Underlying().(*types.Basic); ok && basic.Info()&types.IsInteger != 0 {
			if (&types.StdSizes{WordSize: 8, MaxAlign: 8}).Sizeof(u) >= shortestSecret {
				return t.String()
			}
			return ""
		}
		return secretIn(u.Elem())
	case *types.Struct:
		for i := range u.NumFields() {
			if secret := secretIn(u.Field(i).Type()); secret != "" {
				return t.String() + "." + u.Field(i).Name() + ", " + secret + ","
			}
		}
	}
	return ""
}

// TestSecretsByValueAreSeen tests the check itself.
func TestSecretsByValueAreSeen(t *testing.T) {
	for text, want := range map[string]int{
		`func f(k [32]byte) {}`:                                                      1,
		`func f() [16]byte { panic(1) }`:                                             1,
		`func f(k *[32]byte, b []byte, s string, a *key) {}`:                         0,
		`type key struct { k [32]byte }; func (k key) f() {}; func (k *key) g() {}`:  1,
		`type key [32]byte; type both struct { n int; k [2]key }; func f(b both) {}`: 1,
		`type reader interface { Read(k [32]byte) }`:                                 1,
		`var f = func(k [32]byte) {}`:                                                1,
		`type f func(k [4]uint64) [8]uint32`:                                         2,
		`func f(short [15]byte, words [2]int, addresses [9]*int) {}`:                 1,
		`func f(n int, a netip.Addr) {}`:                                             0,
	} {
		text = "package p\nimport \"net/netip\"\nvar _ netip.Addr\n" + text
		if !strings.Contains(text, "type key") {
			text += "\ntype key [32]byte"
		}
		if got := secretsByValue(t, module+"/p", map[string]string{"p.go": text}, exportsOf(t)); len(got) != want {
			t.Errorf("%s: %q, want %d", text, got, want)
		}
	}
}
