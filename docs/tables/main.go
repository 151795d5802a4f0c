// Tables writes tables from the code into the pages of docs: the reasons for drops, the
// counters, and the keys of the control socket.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"wgd/internal/dataplane"
	"wgd/internal/uapi"
)

//go:generate go run wgd/docs/tables ..

// tables are the generated tables, by page and by name. In the page, a table is between
// the lines <!-- generated: NAME --> and <!-- end -->.
var tables = map[string]map[string]string{
	"operations.md": {
		"drops on the send path":    drops(dataplane.Outbound),
		"drops on the receive path": drops(dataplane.Inbound),
		"counters":                  rows("counter", dataplane.CounterTable()),
	},
	"control-socket.md": {
		"keys of the interface": keys(uapi.InterfaceKeys()),
		"keys of a peer":        keys(uapi.PeerKeys()),
		"keys of a summary":     answered(uapi.SummaryKeys()),
		"keys of an event":      answered(uapi.EventKeys()),
		"keys of a want":        answered(uapi.WantKeys()),
	},
}

func drops(d dataplane.Direction) string {
	var list []dataplane.Row
	for _, row := range dataplane.DropTable() {
		if row.Direction == d {
			list = append(list, row)
		}
	}
	return rows("reason", list)
}

func rows(what string, list []dataplane.Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | what it means | what to do |\n| --- | --- | --- |\n", what)
	for _, row := range list {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.Name, row.Meaning, row.Remedy)
	}
	return b.String()
}

func keys(list []uapi.Key) string {
	yes := map[bool]string{true: "yes"}
	var b strings.Builder
	b.WriteString("| key | get | set | value | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range list {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", k.Name, yes[k.Get], yes[k.Set], k.Value, k.Meaning)
	}
	return b.String()
}

// answered describes keys that only occur in answers.
func answered(list []uapi.Key) string {
	var b strings.Builder
	b.WriteString("| key | value | meaning |\n| --- | --- | --- |\n")
	for _, k := range list {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", k.Name, k.Value, k.Meaning)
	}
	return b.String()
}

const end = "<!-- end -->\n"

// fill replaces the generated tables of a page. It is an error if the page has no lines
// for one of the tables, or lines for a table that does not exist.
func fill(page string, tables map[string]string) (string, error) {
	for name, table := range tables {
		begin := "<!-- generated: " + name + " -->\n"
		before, rest, found := strings.Cut(page, begin)
		_, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			return "", fmt.Errorf("the page has no line %q with a line %q below it", begin, end)
		}
		page = before + begin + "\n" + table + "\n" + end + after
	}
	if n := strings.Count(page, "<!-- generated: "); n != len(tables) {
		return "", fmt.Errorf("the page has lines for %d generated tables, but there are %d tables", n, len(tables))
	}
	return page, nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: tables DIRECTORY (the one with the pages)")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "tables:", err)
		os.Exit(1)
	}
}

func write(docs string) error {
	for name, tables := range tables {
		file := filepath.Join(docs, name)
		page, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		filled, err := fill(string(page), tables)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(file, []byte(filled), 0o644); err != nil {
			return err
		}
	}
	return nil
}
