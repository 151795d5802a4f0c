package archtest

import (
	"go/ast"
	"path"
	"strings"
	"testing"
)

// TestFakesAreInRoomsForTests: a fake of the system is in a room for tests, such as
// tuntest, and not in the room of what it replaces. So no program contains it.
func TestFakesAreInRoomsForTests(t *testing.T) {
	for _, s := range tree(t) {
		for _, fault := range fakeFaults(s) {
			t.Error(fault)
		}
	}
}

func fakeFaults(s source) (faults []string) {
	if s.isTest() || rooms[s.room()].forTests {
		return nil
	}
	if strings.HasPrefix(path.Base(s.path), "fake") {
		faults = append(faults, s.path+": a fake belongs in a room for tests")
	}
	for _, id := range globals(s.file) {
		name := strings.ToLower(strings.TrimPrefix(id.Name, "New"))
		if strings.HasPrefix(name, "fake") {
			faults = append(faults, s.line(id)+": "+id.Name+" belongs in a room for tests")
		}
	}
	return faults
}

// TestNothingIsAskedForMethods: the interface of a value, or a field of its Caps, says
// what it can do. A type assertion to an unnamed interface would be a contract that is
// written nowhere.
func TestNothingIsAskedForMethods(t *testing.T) {
	for _, s := range tree(t) {
		for _, fault := range assertionFaults(s) {
			t.Error(fault)
		}
	}
}

func assertionFaults(s source) (faults []string) {
	if s.isTest() {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if a, ok := n.(*ast.TypeAssertExpr); ok {
			if _, ok := a.Type.(*ast.InterfaceType); ok {
				faults = append(faults, s.line(a)+": give the interface a name, and use it as the type of the value")
			}
		}
		return true
	})
	return faults
}

// TestSeamFaultsAreSeen tests the checks themselves.
func TestSeamFaultsAreSeen(t *testing.T) {
	for _, c := range []struct {
		name, text string
		faults     int
	}{
		{"internal/sys/tun/tun.go", "package tun; type Device int", 0},
		{"internal/sys/tun/fake.go", "package tun; type Device int", 1},
		{"internal/sys/tun/tun.go", "package tun; type Fake int; type fakeQueue int; func NewFake() {}; func (Fake) Close() {}", 3},
		{"internal/sys/tun/tun_test.go", "package tun; type Fake int", 0},
		{"internal/sim/fake.go", "package sim; type Fake int", 0},
		{"internal/sys/tun/tun.go", "package tun; var v any; var _ = v.(interface{ Read() })", 1},
		{"internal/sys/tun/tun.go", "package tun; var e error; var _ = e.(reader); type reader interface{ Read() }", 0},
		{"internal/sys/tun/tun_test.go", "package tun; var v any; var _ = v.(interface{ Read() })", 0},
	} {
		s := parse(t, c.name, c.text)
		if got := append(fakeFaults(s), assertionFaults(s)...); len(got) != c.faults {
			t.Errorf("%s: %q, want %d faults", c.text, got, c.faults)
		}
	}
}
