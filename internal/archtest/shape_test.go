package archtest

import (
	"go/ast"
	"testing"
)

// The bounds of rule 13 of style. Exceptions are listed below, with their reasons.
const (
	longestFile     = 500
	longestFunction = 60
)

var longFiles = map[string]string{}

var longFunctions = map[string]string{}

// TestShape: no file has over 500 lines, and no function over 60. Exceptions that are
// no longer needed are removed.
func TestShape(t *testing.T) {
	long := map[string]bool{}
	for _, s := range tree(t) {
		if s.isTest() {
			continue
		}
		if n := s.fset.Position(s.file.End()).Line; n > longestFile {
			long[s.path] = true
			if longFiles[s.path] == "" {
				t.Errorf("%s has %d lines, over %d", s.path, n, longestFile)
			}
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := lines(s, f); n > longestFunction {
				name := s.path + ":" + f.Name.Name
				long[name] = true
				if longFunctions[name] == "" {
					t.Errorf("%s: %s has %d lines, over %d", s.line(f), f.Name.Name, n, longestFunction)
				}
			}
		}
	}
	for _, exceptions := range []map[string]string{longFiles, longFunctions} {
		for name := range exceptions {
			if !long[name] {
				t.Errorf("%s need not be an exception: it is short enough, or does not exist", name)
			}
		}
	}
}

// lines returns the number of lines of a function, without the comment above it.
func lines(s source, f *ast.FuncDecl) int {
	return s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
}

// emptyNames are the last words of names that say nothing (rule 3 of style).
var emptyNames = map[string]bool{
	"Manager": true, "Helper": true, "Util": true, "Utils": true, "Element": true, "Container": true,
}

// TestNames: no type has a name that says nothing.
func TestNames(t *testing.T) {
	for _, s := range tree(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && emptyNames[lastWord(spec.Name.Name)] {
				t.Errorf("%s: the name %s says nothing", s.line(spec), spec.Name.Name)
			}
			return true
		})
	}
}

// lastWord returns the part of a name from its last capital letter.
func lastWord(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] >= 'A' && name[i] <= 'Z' {
			return name[i:]
		}
	}
	return name
}
