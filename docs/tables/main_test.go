package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wgd/internal/dataplane"
)

// The tables in the pages are those of the code.
func TestTablesAreCurrent(t *testing.T) {
	for name, tables := range tables {
		page, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		filled, err := fill(string(page), tables)
		if err != nil {
			t.Fatalf("docs/%s: %v", name, err)
		}
		if filled != string(page) {
			t.Errorf("docs/%s is out of date: run go generate ./docs/tables", name)
		}
	}
}

// Every reason for drops and every counter is in the page.
func TestEveryReasonIsExplained(t *testing.T) {
	page, err := os.ReadFile("../operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := append(dataplane.DropTable(), dataplane.CounterTable()...)
	if len(rows) < 20 {
		t.Fatalf("only %d reasons and counters", len(rows))
	}
	for _, row := range rows {
		if !strings.Contains(string(page), "\n| "+row.Name+" | ") {
			t.Errorf("docs/operations.md does not explain %q", row.Name)
		}
	}
}

// fill replaces a table and nothing else.
func TestFill(t *testing.T) {
	const page = "before\n<!-- generated: a -->\nold\n<!-- end -->\nafter\n"
	got, err := fill(page, map[string]string{"a": "new\n"})
	if want := "before\n<!-- generated: a -->\n\nnew\n\n<!-- end -->\nafter\n"; got != want || err != nil {
		t.Errorf("fill: got %q, %v, want %q", got, err, want)
	}
	for name, bad := range map[string]struct {
		page   string
		tables map[string]string
	}{
		"no lines for it": {"before\n", map[string]string{"a": "new\n"}},
		"no end":          {"<!-- generated: a -->\nold\n", map[string]string{"a": "new\n"}},
		"no table":        {page, nil},
		"a second table":  {page, map[string]string{"a": "new\n", "b": "new\n"}},
	} {
		if got, err := fill(bad.page, bad.tables); err == nil {
			t.Errorf("%s: got %q, want an error", name, got)
		}
	}
}
