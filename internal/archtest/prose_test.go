package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// onePage is the maximum number of lines of a decision.
const onePage = 60

// TestDecisions: each page in docs/decisions has the form that README.md there
// describes, and is in its list.
func TestDecisions(t *testing.T) {
	testNotes(t, "docs/decisions", func(_, page string) (faults []string) {
		if n := strings.Count(page, "\n"); n > onePage {
			faults = append(faults, "it is longer than a page: "+itoa(n)+" lines")
		}
		return append(faults, sectionFaults(page, "Context", "Decision", "Consequences")...)
	})
}

// TestMeasurements: each note in docs/measurements has its date in its name and its
// title, has the required sections, and is in the list of README.md.
func TestMeasurements(t *testing.T) {
	testNotes(t, "docs/measurements", measurementFaults)
}

func testNotes(t *testing.T, dir string, faultsOf func(name, page string) []string) {
	files, err := filepath.Glob(filepath.Join("../..", dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.Base(file)] = string(text)
	}
	if len(pages) < 5 {
		t.Errorf("%s has only %d pages", dir, len(pages))
	}
	for name, page := range pages {
		if name == "README.md" {
			continue
		}
		faults := faultsOf(name, page)
		if !strings.Contains(pages["README.md"], "]("+name+")") {
			faults = append(faults, "it is not in the list of README.md")
		}
		for _, fault := range faults {
			t.Errorf("%s/%s: %s", dir, name, fault)
		}
	}
}

var measurementName = regexp.MustCompile(`^(20\d\d-\d\d-\d\d)-[a-z0-9-]+\.md$`)

func measurementFaults(name, page string) (faults []string) {
	m := measurementName.FindStringSubmatch(name)
	if m == nil {
		return []string{"its name is not YEAR-MONTH-DAY-words.md"}
	}
	day, err := time.Parse(time.DateOnly, m[1])
	if err != nil || !strings.HasPrefix(page, "# "+day.Format("2 January 2006")+": ") {
		faults = append(faults, "its title does not begin with the date in its name")
	}
	return append(faults, sectionFaults(page, "What was measured", "With what", "What came out")...)
}

// sectionFaults checks that a page has a title and then the given sections, in this
// order and not empty.
func sectionFaults(page string, names ...string) (faults []string) {
	if !strings.HasPrefix(page, "# ") {
		faults = append(faults, "it does not begin with a title")
	}
	var found []string
	for i, section := range strings.Split("\n"+page, "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		if i == 0 || !slices.Contains(names, name) {
			continue
		}
		found = append(found, name)
		if strings.TrimSpace(text) == "" {
			faults = append(faults, "its section "+name+" is empty")
		}
	}
	if !slices.Equal(found, names) {
		faults = append(faults, "its sections are "+strings.Join(found, ", ")+", not "+strings.Join(names, ", "))
	}
	return faults
}

// TestNoteFaultsAreSeen tests the checks themselves.
func TestNoteFaultsAreSeen(t *testing.T) {
	const name, good = "2026-11-08-x.md", "# 8 November 2026: x\n\n## What was measured\n\na\n\n## With what\n\nb\n\n## What came out\n\nc\n"
	if faults := measurementFaults(name, good); len(faults) > 0 {
		t.Errorf("a good note has the faults %q", faults)
	}
	for _, c := range []struct{ name, old, new string }{
		{"x.md", "", ""},
		{"2026-11-09-x.md", "", ""},
		{"2026-11-31-x.md", "", ""},
		{name, "# 8 November 2026: x", "# 08 November 2026: x"},
		{name, "\na\n", ""},
		{name, "## With what", "## With"},
		{name, "\n## What came out\n\nc\n", ""},
		{name, "c\n", "c\n\n## With what\n\nb\n"},
	} {
		if faults := measurementFaults(c.name, strings.Replace(good, c.old, c.new, 1)); len(faults) != 1 {
			t.Errorf("%s with %q in place of %q has the faults %q, want one", c.name, c.new, c.old, faults)
		}
	}
}

// widestLine is the maximum length of a line of prose (rule 16 of style). Code and
// tables may be wider.
const widestLine = 100

// TestWidth: no line of prose in a page is too long.
func TestWidth(t *testing.T) {
	pages := 0
	for _, file := range paths(t) {
		if filepath.Ext(file) != ".md" {
			continue
		}
		pages++
		text, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range widthFaults(string(text)) {
			t.Errorf("%s:%s", file, fault)
		}
	}
	if pages < 10 {
		t.Errorf("only %d pages found", pages)
	}
}

func widthFaults(page string) (faults []string) {
	for i, line := range prose(page) {
		if n := utf8.RuneCountInString(line); n > widestLine && !strings.HasPrefix(line, "|") {
			faults = append(faults, itoa(i+1)+": the line has "+itoa(n)+" characters, over "+itoa(widestLine))
		}
		if strings.HasSuffix(line, " ") {
			faults = append(faults, itoa(i+1)+": the line ends with a space")
		}
	}
	return faults
}

// TestWidthFaultsAreSeen tests the check itself.
func TestWidthFaultsAreSeen(t *testing.T) {
	long := strings.Repeat("é", widestLine)
	for page, want := range map[string]int{
		long + "\n":                  0,
		"a\n" + long + "é\n":         1,
		"- a\n  " + long + "\n":      1,
		"# " + long + "\n":           1,
		"a \n":                       1,
		"| " + long + " |\n":         0,
		"    " + long + "\n":         0,
		"```\n" + long + "éé\n```\n": 0,
		"```\n" + long + "\n```\n" + long + "b\n\nc": 1,
	} {
		if faults := widthFaults(page); len(faults) != want {
			t.Errorf("%q: %q, want %d faults", page, faults, want)
		}
	}
}
