package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "wgd"

// peersModule is the folder of the second module, whose rooms are in the table, too. It is
// apart so that no other program needs what its stores need.
const peersModule = "cmd/wgd-peers"

// A source is a parsed Go file of the tree.
type source struct {
	path  string // slash-separated, from the root of the tree
	fset  *token.FileSet
	file  *ast.File
	other bool // it belongs to another module, in a folder with a go.mod of its own
}

func (s source) room() string { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// imports returns the import paths of the file.
func (s source) imports() []string {
	var list []string
	for _, spec := range s.file.Imports {
		list = append(list, strings.Trim(spec.Path.Value, `"`))
	}
	return list
}

// line returns the position of a node in the form that editors understand.
func (s source) line(n ast.Node) string {
	return s.path + ":" + itoa(s.fset.Position(n.Pos()).Line)
}

// tree returns the Go files of this module and of peersModule.
func tree(t *testing.T) []source {
	t.Helper()
	list := slices.DeleteFunc(slices.Clone(everything(t)), func(s source) bool { return s.other })
	if len(list) < 20 {
		t.Fatalf("only %d Go files found: is this test run in internal/archtest of the tree?", len(list))
	}
	return list
}

var parsed []source // the cache of everything

// everything returns all Go files, also those of other modules in the tree.
func everything(t *testing.T) []source {
	t.Helper()
	if parsed != nil {
		return parsed
	}
	const root = "../.."
	var others []string // folders of other modules
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() && rel != ".":
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && rel != peersModule {
				others = append(others, rel+"/...")
			}
		case !d.IsDir() && strings.HasSuffix(rel, ".go"):
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			s := parse(t, rel, string(text))
			s.other = matches(rel, others)
			parsed = append(parsed, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func parse(t *testing.T, name, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{path: name, fset: fset, file: f}
}

// matches reports whether a path is one of the patterns; "x/..." is x and all
// below it.
func matches(path string, patterns []string) bool {
	for _, p := range patterns {
		if stem, ok := strings.CutSuffix(p, "/..."); ok {
			if path == stem || strings.HasPrefix(path, stem+"/") {
				return true
			}
		} else if path == p {
			return true
		}
	}
	return false
}
