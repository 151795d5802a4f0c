package aead

import (
	"go/build"
	"go/build/constraint"
	"os"
	"slices"
	"strings"
	"testing"
)

// A build without the tag has the cipher, and nothing of the file that has none.
func TestDefaultBuildEncrypts(t *testing.T) {
	if !encrypts {
		t.Fatal("this is the build for benchmarks")
	}
	pkg, err := build.Default.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(pkg.GoFiles, "null.go") || !slices.Contains(pkg.GoFiles, "cipher.go") {
		t.Errorf("the default build is made of %v", pkg.GoFiles)
	}
	text, err := os.ReadFile("null.go")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	expr, err := constraint.Parse(first)
	if err != nil || expr.String() != "nullaead" {
		t.Errorf("null.go is built if %q: it must be by its tag and nothing else (%v)", first, err)
	}
}
