package aead

import (
	"go/build"
	"go/build/constraint"
	"os"
	"slices"
	"strings"
	"testing"
)

// A build without the tag contains cipher.go and not null.go.
func TestDefaultBuildEncrypts(t *testing.T) {
	if !encrypts {
		t.Fatal("encrypts is false in a build that is not for benchmarks")
	}
	pkg, err := build.Default.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(pkg.GoFiles, "null.go") || !slices.Contains(pkg.GoFiles, "cipher.go") {
		t.Errorf("the default build consists of %v, want cipher.go and not null.go", pkg.GoFiles)
	}
	text, err := os.ReadFile("null.go")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	expr, err := constraint.Parse(first)
	if err != nil || expr.String() != "nullaead" {
		t.Errorf("the build constraint of null.go is %q, want only its tag (%v)", first, err)
	}
}
