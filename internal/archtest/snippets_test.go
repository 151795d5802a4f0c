package archtest

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestSnippets: the Go code in pages is, word for word, part of a test. So it compiles
// and works.
func TestSnippets(t *testing.T) {
	var tests []string
	for _, s := range everything(t) {
		if s.isTest() && path.Dir(s.path) != "internal/archtest" {
			text, err := os.ReadFile(filepath.Join("../..", s.path))
			if err != nil {
				t.Fatal(err)
			}
			tests = append(tests, string(text))
		}
	}
	snippets := 0
	for _, file := range paths(t) {
		if path.Ext(file) != ".md" {
			continue
		}
		page, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		n, faults := snippetFaults(string(page), tests)
		snippets += n
		for _, fault := range faults {
			t.Errorf("%s: %s", file, fault)
		}
	}
	if snippets == 0 {
		t.Error("no page has a snippet")
	}
}

func snippetFaults(page string, tests []string) (snippets int, faults []string) {
	for _, m := range goBlock.FindAllStringSubmatch(page, -1) {
		snippets++
		if !slices.ContainsFunc(tests, func(text string) bool { return strings.Contains(text, "\n"+m[1]) }) {
			first, _, _ := strings.Cut(m[1], "\n")
			faults = append(faults, "no test contains the Go code that begins with "+first)
		}
	}
	return snippets, faults
}

// TestPictures: pictures are valid, have a title and a description, and have colours
// for dark pages.
func TestPictures(t *testing.T) {
	pictures := 0
	for _, file := range paths(t) {
		if path.Ext(file) != ".svg" {
			continue
		}
		pictures++
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range pictureFaults(string(text)) {
			t.Errorf("%s: %s", file, fault)
		}
	}
	if pictures == 0 {
		t.Error("there are no pictures")
	}
}

var elsewhere = regexp.MustCompile(`(?:href|src)\s*=|url\(|@import`)

func pictureFaults(text string) (faults []string) {
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return []string{err.Error()}
		}
	}
	for _, want := range []string{"<svg ", "viewBox=", "<title", "<desc", "@media (prefers-color-scheme: dark)"} {
		if !strings.Contains(text, want) {
			faults = append(faults, "it has no "+want)
		}
	}
	if m := elsewhere.FindString(text); m != "" {
		faults = append(faults, "it refers to another file: "+m)
	}
	return faults
}

// TestSnippetFaultsAreSeen tests the checks themselves.
func TestSnippetFaultsAreSeen(t *testing.T) {
	tests := []string{"package p\n\nfunc f() {\n\tg()\n}\n\nfunc h() {}\n"}
	for page, want := range map[string][2]int{
		"a\n```go\nfunc f() {\n\tg()\n}\n```\nb\n":             {1, 0},
		"```go\nfunc f() {\n\tg(1)\n}\n```\n":                  {1, 1},
		"```go\nfunc h() {}\n```\n\n```go\nfunc i() {}\n```\n": {2, 1},
		"```sh\nfunc i() {}\n```\n\n    func i() {}\n":         {0, 0},
		"```go\nnc h() {}\n```\n":                              {1, 1},
	} {
		if n, faults := snippetFaults(page, tests); n != want[0] || len(faults) != want[1] {
			t.Errorf("%q: %d snippets, %q, want %d and %d faults", page, n, faults, want[0], want[1])
		}
	}
	const good = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><title>a</title><desc>b</desc><style>@media (prefers-color-scheme: dark) {}</style></svg>`
	if faults := pictureFaults(good); len(faults) > 0 {
		t.Errorf("a good picture has the faults %q", faults)
	}
	for _, bad := range []string{"</svg>", "viewBox", "<title>a</title>", "<desc>b</desc>", "@media (prefers-color-scheme: dark) {}"} {
		if len(pictureFaults(strings.Replace(good, bad, "", 1))) != 1 {
			t.Errorf("a picture without %s is accepted", bad)
		}
	}
	if len(pictureFaults(strings.Replace(good, "<title>", `<image href="x.png"/><title>`, 1))) != 1 {
		t.Error("a picture that refers to another one is accepted")
	}
}
