package archtest

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNothingForTestsIsUnused: what tests and rooms for tests declare is used. This
// includes the other modules, which use test/lab.
func TestNothingForTestsIsUnused(t *testing.T) {
	for _, fault := range unusedNames(everything(t)) {
		t.Error(fault)
	}
}

// unusedNames finds functions, types, variables and constants for tests whose names
// occur only in their declarations. It compares only names, so it does not find one
// that is declared twice and used once.
func unusedNames(files []source) (faults []string) {
	uses := map[string]int{}
	var declared []*ast.Ident
	where := map[*ast.Ident]source{}
	for _, s := range files {
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				uses[n.Name]++
			case *ast.BasicLit: // test/lab calls methods of the agent by name
				uses[strings.Trim(n.Value, "\"`")]++
			}
			return true
		})
		ofTests := s.isTest() || rooms[s.room()].forTests
		for _, id := range globals(s.file) {
			uses[id.Name]--
			if ofTests && !goCalls(id.Name, s) {
				declared, where[id] = append(declared, id), s
			}
		}
	}
	for _, id := range declared {
		if uses[id.Name] == 0 {
			faults = append(faults, where[id].line(id)+": "+id.Name+" is not used: remove it")
		}
	}
	return faults
}

// globals returns the names that a file declares at package level, and its methods.
func globals(file *ast.File) (list []*ast.Ident) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			list = append(list, d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					list = append(list, spec.Name)
				case *ast.ValueSpec:
					list = append(list, spec.Names...)
				}
			}
		}
	}
	return list
}

// goCalls reports whether Go or the standard library calls a function by itself.
func goCalls(name string, s source) bool {
	if name == "_" || name == "main" || name == "init" {
		return true
	}
	tests := regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)([^a-z]|$)`)
	methods := []string{"String", "Error", "Write", "Read", "Close", "Len", "Less", "Swap", "Push", "Pop"}
	return s.isTest() && tests.MatchString(name) || slices.Contains(methods, name)
}

// TestUnusedNamesAreSeen tests the check itself.
func TestUnusedNamesAreSeen(t *testing.T) {
	for _, c := range []struct {
		name, text string
		faults     int
	}{
		{"internal/sim/a.go", "package sim; func F() {}; var v = 1; const c = 2; type T int; func (T) M() {}", 4},
		{"internal/sim/a.go", "package sim; func F() { F() }; var _ = T(1).M; type T int; func (T) M() {}", 0},
		{"internal/sim/a.go", "package sim; func main() {}; func init() {}; type T int; func (T) String() {}; var _ T", 0},
		{"test/lab/a.go", "package lab; type Agent int; func (*Agent) Open() {}; var _ Agent = call(\"Open\")", 0},
		{"internal/core/a_test.go", "package core; func TestIt() {}; func FuzzIt() {}; func Testament() {}", 1},
		{"internal/core/a.go", "package core; func F() {}", 0},
	} {
		if got := unusedNames([]source{parse(t, c.name, c.text)}); len(got) != c.faults {
			t.Errorf("%s: %q, want %d faults", c.text, got, c.faults)
		}
	}
}
