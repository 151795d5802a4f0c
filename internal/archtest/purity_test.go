package archtest

import (
	"go/ast"
	"testing"
)

// impureImports are those that no pure room may have.
var impureImports = []string{
	"os/...", "net", "net/http/...", "syscall", "unsafe", "runtime/...", "sync/...", "context",
	"crypto/rand", "math/rand/...", "io/ioutil", "log", "log/syslog", "plugin", "golang.org/x/sys/...",
}

// pureEnough are exceptions: what a pure room does with these imports does not depend
// on timing.
var pureEnough = map[string][]string{
	// The routing table is published as an immutable value (rule 9 of style).
	"internal/core": {"sync/atomic"},
	// A Remote remembers a Diffie-Hellman result, which is the same whichever
	// goroutine computes it first.
	"internal/noise": {"sync/atomic"},
	// The features of the processor affect how fast a checksum is computed, not its
	// value.
	"internal/packet": {"golang.org/x/sys/cpu"},
}

// impureNames are those that a pure room must not use, by their packages.
var impureNames = map[string][]string{
	"time":        {"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"},
	"fmt":         {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"},
	"log/slog":    {"Default", "Debug", "Info", "Warn", "Error", "Log", "New", "With"}, // a key hides itself with its Value
	"crypto/ecdh": {"GenerateKey"},                                                     // it ignores the reader it is given (rule 1 of style)
}

// TestPureRooms: the rooms marked P in docs/architecture.md start no goroutines, use no
// locks, clocks and random numbers, and open nothing.
func TestPureRooms(t *testing.T) {
	for _, s := range tree(t) {
		if s.isTest() || !rooms[s.room()].pure {
			continue
		}
		for _, fault := range impurities(s) {
			t.Error(fault)
		}
	}
}

func impurities(s source) []string {
	var faults []string
	names := map[string]string{} // local name → import path
	for _, spec := range s.file.Imports {
		path := spec.Path.Value[1 : len(spec.Path.Value)-1]
		if matches(path, impureImports) && !matches(path, pureEnough[s.room()]) {
			faults = append(faults, s.line(spec)+": a pure room imports "+path)
		}
		names[localName(spec, path)] = path
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			faults = append(faults, s.line(n)+": a pure room starts a goroutine")
		case *ast.ChanType:
			faults = append(faults, s.line(n)+": a pure room has a channel")
		case *ast.SelectorExpr:
			if fault := impureName(names, n); fault != "" {
				faults = append(faults, s.line(n)+": a pure room uses "+fault)
			}
		}
		return true
	})
	return faults
}

func localName(spec *ast.ImportSpec, path string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

func impureName(names map[string]string, sel *ast.SelectorExpr) string {
	if sel.Sel.Name == "GenerateKey" {
		return "GenerateKey" // a method of a curve; types are not known here
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok || !matches(sel.Sel.Name, impureNames[names[pkg.Name]]) {
		return ""
	}
	return names[pkg.Name] + "." + sel.Sel.Name
}

// TestImpuritiesAreSeen tests the check itself.
func TestImpuritiesAreSeen(t *testing.T) {
	for _, c := range []struct {
		text   string
		faults int
	}{
		{`package p; import "time"; var now = time.Now`, 1},
		{`package p; import clock "time"; func f() { clock.Sleep(1) }`, 1},
		{`package p; import "time"; func f(t time.Time) time.Time { return t.Add(time.Second) }`, 0},
		{`package p; import ( _ "net/netip"; _ "crypto/ecdh" )`, 0},
		{`package p; import ( _ "net"; _ "sync/atomic"; _ "math/rand/v2"; _ "os" )`, 4},
		{`package p; func f() { go f() }`, 1},
		{`package p; var c chan int`, 1},
		{`package p; import "crypto/ecdh"; var k, _ = ecdh.X25519().GenerateKey(nil)`, 1},
	} {
		if got := impurities(parse(t, "p/p.go", c.text)); len(got) != c.faults {
			t.Errorf("%s: %d faults, want %d: %v", c.text, len(got), c.faults, got)
		}
	}
}
