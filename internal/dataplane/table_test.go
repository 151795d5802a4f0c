package dataplane

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"
)

// Every Drop and every Counter has its own row in its table, with a name derived
// from its identifier: DropNoSession is shown as no-session.
func TestTables(t *testing.T) {
	for _, table := range []struct {
		file, prefix string
		rows         []Row
	}{
		{"drops.go", "Drop", DropTable()},
		{"counters.go", "Count", CounterTable()},
	} {
		seen := map[string]bool{}
		constants := constants(t, table.file, table.prefix)
		if len(constants) != len(table.rows) {
			t.Fatalf("%s: %d constants %s…, but %d rows", table.file, len(constants), table.prefix, len(table.rows))
		}
		for i, row := range table.rows {
			name := constants[i]
			if want := dashed(strings.TrimPrefix(name, table.prefix)); row.Name != want {
				t.Errorf("%s is shown as %q, want %q", name, row.Name, want)
			}
			if seen[row.Name] {
				t.Errorf("%s: %q is also the name of another row", name, row.Name)
			}
			seen[row.Name] = true
			for what, text := range map[string]string{"meaning": row.Meaning, "remedy": row.Remedy} {
				if text == "" || strings.ContainsAny(text, "|\n") {
					t.Errorf("%s: %s is %q, want text that fits in a table cell of docs/operations.md", name, what, text)
				}
			}
		}
	}
}

// String and Status show the names in the tables.
func TestNamesAreShown(t *testing.T) {
	var dropped Drops
	var counted Counters
	for d, row := range DropTable() {
		dropped.Add(Drop(d), d+1)
		if got := fmt.Sprint(Drop(d)); got != row.Name {
			t.Errorf("Drop %d is %q, want %q", d, got, row.Name)
		}
		list := dropped.Status()
		if last := list[len(list)-1]; len(list) != d+1 || last.Reason != row.Name || last.Count != uint64(d+1) {
			t.Errorf("after adding %v, the list ends with %+v", Drop(d), last)
		}
	}
	for c, row := range CounterTable() {
		counted.Add(Counter(c), c+1)
		if got := fmt.Sprint(Counter(c)); got != row.Name {
			t.Errorf("Counter %d is %q, want %q", c, got, row.Name)
		}
		list := counted.Status()
		if last := list[len(list)-1]; len(list) != c+1 || last.Name != row.Name || last.Count != uint64(c+1) {
			t.Errorf("after adding %v, the list ends with %+v", Counter(c), last)
		}
	}
	if Drop(drops).String() != "unknown" || Counter(counters).String() != "unknown" {
		t.Error("a number out of range has a name other than unknown")
	}
}

// constants returns the constants of a file with the given prefix, in order.
func constants(t *testing.T, file, prefix string) (names []string) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, prefix) {
			names = append(names, spec.Names[0].Name)
		}
		return true
	})
	return names
}

var word = regexp.MustCompile(`[A-Z]+[0-9]*$|[A-Z]+[0-9]+|IP|ECN|[A-Z][a-z]*`)

// dashed converts NoSession to no-session.
func dashed(name string) string {
	return strings.ToLower(strings.Join(word.FindAllString(name, -1), "-"))
}
