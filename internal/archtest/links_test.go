package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// TestLinks: links in pages lead to files of the tree, and to existing headings.
// Links to other sites are not checked.
func TestLinks(t *testing.T) {
	files, pages := paths(t), map[string]string{}
	for _, file := range files {
		if path.Ext(file) == ".md" {
			body, err := os.ReadFile(filepath.Join("../..", file))
			if err != nil {
				t.Fatal(err)
			}
			pages[file] = string(body)
		}
	}
	links := 0
	for name := range pages {
		n, faults := linkFaults(name, pages, files)
		links += n
		for _, fault := range faults {
			t.Error(fault)
		}
	}
	if links < 20 {
		t.Errorf("only %d links found", links)
	}
}

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`^#+ (.*)$`)
)

// linkFaults checks one page. Its first result is the number of links.
func linkFaults(name string, pages map[string]string, files []string) (links int, faults []string) {
	text := strings.Join(prose(pages[name]), "\n") // in one piece, because a link may continue on the next line
	for _, m := range link.FindAllStringSubmatchIndex(text, -1) {
		destination := text[m[2]:m[3]]
		if strings.Contains(destination, "://") {
			continue
		}
		links++
		target, anchor, _ := strings.Cut(destination, "#")
		file := name
		if target != "" {
			file = path.Join(path.Dir(name), target)
		}
		at := name + ":" + strconv.Itoa(1+strings.Count(text[:m[2]], "\n")) + ": "
		switch {
		case !slices.Contains(files, file):
			faults = append(faults, at+"there is no file "+file)
		case anchor != "" && !slices.Contains(anchors(pages[file]), anchor):
			faults = append(faults, at+file+" has no heading #"+anchor)
		}
	}
	return links, faults
}

// anchors returns the anchors that GitHub makes for the headings of a page.
func anchors(page string) (list []string) {
	for _, line := range prose(page) {
		m := heading.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		again := 0
		for unique := name; ; unique = name + "-" + strconv.Itoa(again) {
			if !slices.Contains(list, unique) {
				list = append(list, unique)
				break
			}
			again++
		}
	}
	return list
}

// prose returns the lines of a page. Lines of code are empty.
func prose(page string) []string {
	lines := strings.Split(page, "\n")
	fenced := false
	for i, line := range lines {
		fence := strings.HasPrefix(line, "```")
		if fenced || fence || strings.HasPrefix(line, "    ") {
			lines[i] = ""
		}
		fenced = fenced != fence
	}
	return lines
}

// TestLinkFaultsAreSeen tests the check itself.
func TestLinkFaultsAreSeen(t *testing.T) {
	pages := map[string]string{
		"README.md": "# The `wg` tool, and more\n## It\n## It\n```\n# code\n```\n    # code\n",
		"docs/a.md": "# A\n",
	}
	files := []string{"README.md", "LICENSE", "docs", "docs/a.md"}
	for _, c := range []struct {
		name, line    string
		links, faults int
	}{
		{"README.md", "[a](docs/a.md) [b](docs/a.md#a) [c](LICENSE) [d](docs)", 4, 0},
		{"README.md", "[a](#the-wg-tool-and-more) [b](#it) [c](#it-1)", 3, 0},
		{"docs/a.md", "[a](../README.md#it) [b](a.md)", 2, 0},
		{"README.md", "[a](https://example.org/nothing) `code`", 0, 0},
		{"README.md", "```\n[a](nothing)\n```\n    [a](nothing)", 0, 0},
		{"README.md", "[a](nothing.md) [b](docs/b.md#a) [c](a.md)", 3, 3},
		{"README.md", "[a](#it-2) [b](#code) [c](docs/a.md#b) [d](LICENSE#a)", 4, 4},
		{"docs/a.md", "[a](README.md)", 1, 1},
		{"docs/a.md", "[a\nb](README.md) [c\nd](a.md)", 2, 1},
	} {
		kept := pages[c.name]
		pages[c.name] += c.line + "\n"
		if n, faults := linkFaults(c.name, pages, files); n != c.links || len(faults) != c.faults {
			t.Errorf("%s: %q: %d links, %q, want %d and %d faults", c.name, c.line, n, faults, c.links, c.faults)
		}
		pages[c.name] = kept
	}
}
