package archtest

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// TestSkipsAreLoud: a test that is skipped says what is left out, and fails with
// CI=true instead.
func TestSkipsAreLoud(t *testing.T) {
	for _, s := range tree(t) {
		for _, fault := range skipFaults(s) {
			t.Error(fault)
		}
	}
}

// skipFaults checks the calls that skip a test. Each of them needs a check of CI of its
// own before it.
func skipFaults(s source) (faults []string) {
	if !slices.Contains(s.imports(), "testing") {
		return nil
	}
	checked := false
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			checked = false
		case *ast.BasicLit:
			checked = checked || n.Value == `"CI"`
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				break
			}
			if !checked {
				faults = append(faults, s.line(n)+": skips the test with CI=true as well: fail there")
			}
			if !loud(n.Args) {
				faults = append(faults, s.line(n)+`: begin the message with LEFT OUT or NOT TESTED, and say what`)
			}
			checked = false
		}
		return true
	})
	return faults
}

// loud reports whether the arguments of a skip have such a message.
func loud(args []ast.Expr) bool {
	if len(args) == 0 {
		return false
	}
	text, ok := args[0].(*ast.BasicLit)
	return ok && (strings.HasPrefix(text.Value, `"LEFT OUT`) || strings.HasPrefix(text.Value, `"NOT TESTED`))
}

// TestSkipFaultsAreSeen tests the check itself.
func TestSkipFaultsAreSeen(t *testing.T) {
	const begin = `package p; import ("os"; "testing"); func TestX(t *testing.T) { `
	const check = `if os.Getenv("CI") == "true" { t.Fatal() }; `
	for _, c := range []struct {
		text   string
		faults int
	}{
		{begin + check + `t.Skip("LEFT OUT: all") }`, 0},
		{begin + check + `t.Skipf("NOT TESTED: %v", 1) }`, 0},
		{begin + check + `t.Skip("no root") }`, 1},
		{begin + `t.Skip("LEFT OUT: all") }`, 1},
		{begin + `t.SkipNow() }`, 2},
		{begin + check + `t.Skip("LEFT OUT: a"); t.Skip("LEFT OUT: b") }`, 1},
		{begin + check + `}; func TestY(t *testing.T) { t.Skip("LEFT OUT: all") }`, 1},
		{`package p; func f(l interface{ Skip(int) }) { l.Skip(1) }`, 0},
	} {
		if got := skipFaults(parse(t, "p/p_test.go", c.text)); len(got) != c.faults {
			t.Errorf("%s: %d faults, want %d: %v", c.text, len(got), c.faults, got)
		}
	}
}
