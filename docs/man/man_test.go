package man

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var commands = []string{"wgd", "wgconfig", "wg-ifconfig", "wg-keygen"}

// The pages are what the commands say about themselves today.
func TestPagesAreCurrent(t *testing.T) {
	readTables(t)
	programs := t.TempDir()
	for _, name := range commands {
		program := filepath.Join(programs, name)
		if out, err := exec.Command("go", "build", "-o", program, "wgd/cmd/"+name).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
		made, err := exec.Command(program, "--man").Output()
		if err != nil {
			t.Fatalf("%s --man: %v", name, err)
		}
		kept, err := os.ReadFile(name + ".8")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, kept) {
			t.Errorf("%s.8 is old: run go generate ./docs/man", name)
		}
	}
}

// readTables reads what the pages are made of: so the go command knows that
// this test must run again when it changes.
func readTables(t *testing.T) {
	for _, pattern := range []string{"../../cmd/*/*.go", "../../internal/cli/*.go", "../../conf/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			if _, err := os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// roff has nothing to complain of.
func TestPagesAreClean(t *testing.T) {
	linters := [][]string{
		{"mandoc", "-Tlint", "-Wwarning"},
		{"groff", "-man", "-Tutf8", "-ww", "-z", "-rCHECKSTYLE=3"},
	}
	ran := false
	for _, linter := range linters {
		if _, err := exec.LookPath(linter[0]); err != nil {
			continue
		}
		ran = true
		for _, name := range commands {
			args := append(linter[1:len(linter):len(linter)], name+".8")
			if out, err := exec.Command(linter[0], args...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v %v: %v\n%s", linter[0], args, err, out)
			}
		}
	}
	if !ran {
		if os.Getenv("CI") == "true" {
			t.Fatal("neither mandoc nor groff is installed")
		}
		t.Skip("NOT TESTED: neither mandoc nor groff is installed, so the pages were not looked at")
	}
}
