package archtest

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestGlossary: docs/glossary.md defines each term once, no term is retired, and
// what a row names as code is declared.
func TestGlossary(t *testing.T) {
	page, err := os.ReadFile("../../docs/glossary.md")
	if err != nil {
		t.Fatal(err)
	}
	terms, faults := glossaryFaults(string(page), exported(tree(t)))
	for _, fault := range faults {
		t.Error("docs/glossary.md:" + fault)
	}
	if terms < 30 {
		t.Errorf("only %d terms found", terms)
	}
}

var (
	glossaryRow = regexp.MustCompile(`^\| ([^|]+) \| ([^|]+) \|$`)
	namedAsCode = regexp.MustCompile("(package )?`([^`]+)`")
)

// glossaryFaults looks at every row. Its first result is how many terms there are.
// The symbols are those that each package exports.
func glossaryFaults(page string, symbols map[string]map[string]bool) (terms int, faults []string) {
	defined := map[string]bool{}
	for i, line := range strings.Split(page, "\n") {
		row, at := glossaryRow.FindStringSubmatch(line), itoa(i+1)
		if row == nil || row[1] == "term" || strings.HasPrefix(row[1], "---") {
			continue
		}
		for term := range strings.SplitSeq(row[1], ", ") {
			terms++
			if defined[term] {
				faults = append(faults, at+": "+term+" is defined twice")
			}
			defined[term] = true
			faults = append(faults, wordFaultsOfName(at, term, asDeclaration)...)
		}
		for _, m := range namedAsCode.FindAllStringSubmatch(row[2], -1) {
			if !isDeclared(m[2], m[1] != "", symbols) {
				faults = append(faults, at+": there is no "+m[1]+m[2])
			}
		}
	}
	return terms, faults
}

// isDeclared reports whether there is a package of that name, or a symbol, with
// or without the name of its package.
func isDeclared(name string, isPackage bool, symbols map[string]map[string]bool) bool {
	if isPackage {
		return symbols[name] != nil
	}
	if pkg, symbol, qualified := strings.Cut(name, "."); qualified {
		return symbols[pkg][symbol]
	}
	for _, names := range symbols {
		if names[name] {
			return true
		}
	}
	return false
}

// TestGlossaryFaultsAreSeen tests the check itself.
func TestGlossaryFaultsAreSeen(t *testing.T) {
	symbols := map[string]map[string]bool{"core": {"Run": true}, "batch": {"Batch": true}}
	for row, want := range map[string][2]int{
		"a, b | code (`core.Run`, `Batch`) in package `batch`": {2, 0},
		"a | `core.Walk`":           {1, 1},
		"a | `score.Run`":           {1, 1},
		"a | `Walk`":                {1, 1},
		"a | package `score`":       {1, 1},
		"a | `core`":                {1, 1},
		"a | b |\n| a | c":          {2, 1},
		"a, b | c |\n| c, b, a | d": {5, 2},
		"lane | a |\n| crowd | b":   {2, 1},
		"most | b":                  {1, 1},
	} {
		page := "# Glossary\n\n| term | meaning |\n| --- | --- |\n| " + row + " |\n"
		if n, faults := glossaryFaults(page, symbols); n != want[0] || len(faults) != want[1] {
			t.Errorf("%s\nhas %d terms and the faults %q, want %d and %d", row, n, faults, want[0], want[1])
		}
	}
}
