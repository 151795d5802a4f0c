package man

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// pages are the pages, each with the package of the program that prints it, and its options.
var pages = map[string][]string{
	"wgd.8":         {"wgd/cmd/wgd", "--man"},
	"wgconfig.8":    {"wgd/cmd/wgconfig", "--man"},
	"wg-ifconfig.8": {"wgd/cmd/wg-ifconfig", "--man"},
	"wg-keygen.8":   {"wgd/cmd/wg-keygen", "--man"},
	"wgd-peers.8":   {"wgd/cmd/wgd-peers", "--man"},
	"wgd.conf.5":    {"wgd/docs/man/wgdconf"},
	"wg.4":          {"wgd/docs/man/wgdevice"},
}

// otherModules are the folders of programs that are not of this module.
var otherModules = map[string]string{"wgd/cmd/wgd-peers": "../../cmd/wgd-peers"}

// The pages are what the programs print.
func TestPagesAreCurrent(t *testing.T) {
	readTables(t)
	program := filepath.Join(t.TempDir(), "program")
	for page, call := range pages {
		build := exec.Command("go", "build", "-o", program, call[0])
		build.Dir = otherModules[call[0]]
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", call[0], err, out)
		}
		made, err := exec.Command(program, call[1:]...).Output()
		if err != nil {
			t.Fatalf("%v: %v", call, err)
		}
		kept, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, kept) {
			t.Errorf("%s is out of date: run go generate ./docs/man", page)
		}
	}
}

// Every page is generated.
func TestPagesAreKnown(t *testing.T) {
	files, err := filepath.Glob("*.[0-9]")
	if err != nil || len(files) != len(pages) {
		t.Errorf("the pages are %v, %v, want those of %v", files, err, pages)
	}
}

// readTables reads the sources of the pages, so that the go command does not
// use a cached result of this test when they have changed.
func readTables(t *testing.T) {
	for _, pattern := range []string{"../../cmd/*/*.go", "../../cmd/wgd-peers/*/*.go", "../../internal/cli/*.go", "../../conf/*.go", "../../internal/wgconf/*.go", "wgdconf/*.go", "wgdevice/*.go"} {
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

// mandoc and groff report no faults in the pages.
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
		for page := range pages {
			args := append(linter[1:len(linter):len(linter)], page)
			if out, err := exec.Command(linter[0], args...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v %v: %v\n%s", linter[0], args, err, out)
			}
		}
	}
	if !ran {
		if os.Getenv("CI") == "true" {
			t.Fatal("neither mandoc nor groff is installed")
		}
		t.Skip("NOT TESTED: the form of the pages, because neither mandoc nor groff is installed")
	}
}
