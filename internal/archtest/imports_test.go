package archtest

import (
	"go/ast"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// TestArrows: every file imports only what the table allows.
func TestArrows(t *testing.T) {
	files := tree(t)
	seen := map[string]bool{}
	for _, s := range files {
		seen[s.room()] = true
		for _, fault := range arrowFaults(s) {
			t.Error(fault)
		}
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("the table has a room %s that is not in the tree: remove its line", name)
		}
	}
}

// TestArrowsAreUsed: a room imports all that it may import. An unused arrow is
// removed from the table, so that adding it again is a decision.
func TestArrowsAreUsed(t *testing.T) {
	for _, fault := range unusedArrows(rooms, tree(t)) {
		t.Error(fault)
	}
	for room, extra := range pureEnough {
		for _, path := range extra {
			if !slices.ContainsFunc(tree(t), func(s source) bool {
				return s.room() == room && !s.isTest() && slices.Contains(s.imports(), path)
			}) {
				t.Errorf("%s may import %s although it is pure, and does not: remove it from pureEnough", room, path)
			}
		}
	}
}

// unusedArrows returns the arrows of the table that no file needs. Tests need no
// arrows to rooms of this module, but to other modules.
func unusedArrows(rooms map[string]room, files []source) (faults []string) {
	for name, r := range rooms {
		used := map[string]bool{}
		for _, s := range files {
			if s.room() != name {
				continue
			}
			for _, path := range s.imports() {
				rel, ours := strings.CutPrefix(path, module+"/")
				for _, arrow := range r.imports {
					used[arrow] = used[arrow] || ours && !s.isTest() && matches(rel, []string{arrow})
				}
				for _, arrow := range r.third {
					used[arrow] = used[arrow] || matches(path, []string{arrow})
				}
			}
		}
		for _, arrow := range append(slices.Clone(r.imports), r.third...) {
			if slices.Contains(r.imports, arrow) && strings.HasSuffix(arrow, "...") {
				faults = append(faults, name+" may import "+arrow+": name each room")
			} else if !used[arrow] {
				faults = append(faults, name+" may import "+arrow+", and does not: remove the arrow from the table")
			}
		}
	}
	sort.Strings(faults)
	return faults
}

// TestUnusedArrowsAreSeen tests the check itself.
func TestUnusedArrowsAreSeen(t *testing.T) {
	many := map[string]room{"internal/noise": {imports: []string{"internal/..."}}}
	if got := unusedArrows(many, []source{parse(t, "internal/noise/a.go", `package noise; import _ "wgd/internal/wire"`)}); len(got) != 1 {
		t.Errorf("an arrow to many rooms: %q, want one fault", got)
	}
	table := map[string]room{"internal/noise": {imports: []string{"key", "internal/wire"}, third: []string{crypto}}}
	for _, c := range []struct {
		name, text string
		faults     int
	}{
		{"internal/noise/a.go", `package noise; import ( _ "wgd/key"; _ "wgd/internal/wire"; _ "golang.org/x/crypto/blake2s" )`, 0},
		{"internal/noise/a_linux.go", `package noise; import ( _ "wgd/internal/wire"; _ "golang.org/x/crypto/blake2s" )`, 1},
		{"internal/noise/a_test.go", `package noise; import ( _ "wgd/key"; _ "wgd/internal/wire"; _ "golang.org/x/crypto/blake2s" )`, 2},
		{"internal/noise/a.go", `package noise; import ( _ "wgd/key/x"; _ "wgd/keys" )`, 3},
		{"internal/core/a.go", `package core; import ( _ "wgd/key"; _ "wgd/internal/wire" )`, 3},
	} {
		if got := unusedArrows(table, []source{parse(t, c.name, c.text)}); len(got) != c.faults {
			t.Errorf("%s: %d faults, want %d: %s", c.text, len(got), c.faults, strings.Join(got, "; "))
		}
	}
}

// arrowFaults returns the imports of a file that the table does not allow. A test
// may import any room of the module and package unix, and otherwise what its room
// may import.
func arrowFaults(s source) []string {
	r, known := rooms[s.room()]
	if !known {
		return []string{s.path + ": the room " + s.room() + " is not in the table of internal/archtest"}
	}
	var faults []string
	for _, path := range s.imports() {
		if !mayImport(s, r, path) {
			faults = append(faults, s.path+": "+s.room()+" may not import "+path)
		}
	}
	sort.Strings(faults)
	return faults
}

func mayImport(s source, r room, path string) bool {
	if rel, ok := strings.CutPrefix(path, module+"/"); ok {
		return s.isTest() || slices.Contains(r.imports, rel) && (r.forTests || !rooms[rel].forTests)
	}
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") {
		return true // the standard library: other tests check purity and system calls
	}
	return matches(path, r.third) || s.isTest() && matches(path, []string{unix})
}

// TestSystemOnlyUnderSys: only internal/sys, tests and the rooms below test call the
// kernel directly.
func TestSystemOnlyUnderSys(t *testing.T) {
	for _, s := range tree(t) {
		if s.isTest() || matches(s.path, []string{"internal/sys/...", "test/..."}) {
			continue
		}
		for _, path := range s.imports() {
			if path == "syscall" || path != cpu && matches(path, []string{unix, netlink, netns, nftables}) { // cpu queries the processor, not the kernel
				t.Errorf("%s imports %s: system calls belong in internal/sys", s.path, path)
			}
		}
	}
}

// inOnePlace are functions that only one room calls, also in tests. What must be done
// before and after them is done there.
var inOnePlace = map[string]string{
	"Setns": "internal/sys/netns/...",
}

// TestInOnePlace: functions in inOnePlace are called only in their room.
func TestInOnePlace(t *testing.T) {
	used := map[string]bool{}
	for _, s := range everything(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && inOnePlace[sel.Sel.Name] != "" {
				used[sel.Sel.Name] = true
				if place := inOnePlace[sel.Sel.Name]; !matches(s.room(), []string{place}) {
					t.Errorf("%s calls %s: only %s may", s.line(sel), sel.Sel.Name, place)
				}
			}
			return true
		})
	}
	for name := range inOnePlace {
		if !used[name] {
			t.Errorf("nothing calls %s: remove it from inOnePlace", name)
		}
	}
}

// TestArrowFaultsAreSeen tests the check itself.
func TestArrowFaultsAreSeen(t *testing.T) {
	for _, c := range []struct {
		name, text string
		faults     int
	}{
		{"internal/wire/a.go", `package wire; import _ "wgd/internal/core"`, 1},
		{"internal/wire/a_test.go", `package wire; import _ "wgd/internal/core"`, 0},
		{"internal/core/a.go", `package core; import ( _ "wgd/internal/wire"; _ "golang.org/x/crypto/blake2s" )`, 1},
		{"internal/noise/a.go", `package noise; import _ "golang.org/x/crypto/blake2s"`, 0},
		{"internal/noise/a_test.go", `package noise; import _ "example.org/other"`, 1},
		{"internal/manager/a.go", `package manager`, 1},
	} {
		if got := arrowFaults(parse(t, c.name, c.text)); len(got) != c.faults {
			t.Errorf("%s: %d faults, want %d: %s", c.name, len(got), c.faults, strings.Join(got, "; "))
		}
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
