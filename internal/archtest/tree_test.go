package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "wgd"

// A source is one parsed Go file of the tree.
type source struct {
	path string // slash-separated, from the root of the tree
	fset *token.FileSet
	file *ast.File
}

func (s source) room() string { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// imports are the import paths of the file.
func (s source) imports() []string {
	var list []string
	for _, spec := range s.file.Imports {
		list = append(list, strings.Trim(spec.Path.Value, `"`))
	}
	return list
}

// line is the position of a node as an editor understands it.
func (s source) line(n ast.Node) string {
	return s.path + ":" + itoa(s.fset.Position(n.Pos()).Line)
}

var parsed []source // what tree has read already

// tree parses every Go file of this module; folders with a go.mod of their own
// are other modules.
func tree(t *testing.T) []source {
	t.Helper()
	if parsed != nil {
		return parsed
	}
	root := "../.."
	var list []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(root, file, d.Name())
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		list = append(list, parse(t, filepath.ToSlash(rel), string(text)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("only %d Go files found: is this test run in internal/archtest of the tree?", len(list))
	}
	parsed = list
	return list
}

// enter says whether the walk goes into a folder.
func enter(root, dir, name string) error {
	if dir == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

func parse(t *testing.T, name, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{name, fset, f}
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
