package archtest

import (
	"sort"
	"strconv"
	"strings"
	"testing"
)

// TestArrows reads the imports of every file and compares them with the table.
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
			t.Errorf("the table has a room %s, the tree has not: take its line out", name)
		}
	}
}

// arrowFaults are the imports of one file that its room may not have. A test
// may reach for any room of the module, but for no other module that its room
// may not have, except the system calls.
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
		return s.isTest() || matches(rel, r.imports)
	}
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") {
		return true // the standard library; purity and the system have tests of their own
	}
	return matches(path, r.third) || s.isTest() && matches(path, []string{unix})
}

// TestSystemOnlyUnderSys: only internal/sys, tests and the simulated hosts speak to the kernel directly.
func TestSystemOnlyUnderSys(t *testing.T) {
	for _, s := range tree(t) {
		if s.isTest() || matches(s.path, []string{"internal/sys/...", "test/..."}) {
			continue
		}
		for _, path := range s.imports() {
			if path == "syscall" || path != cpu && matches(path, []string{unix, netlink, netns}) { // cpu asks the processor, not the kernel
				t.Errorf("%s imports %s: system calls have their place under internal/sys", s.path, path)
			}
		}
	}
}

// TestArrowFaultsAreSeen keeps the test above honest.
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
