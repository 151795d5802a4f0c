package archtest

import (
	"go/ast"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A text is a page, a script, or a comment.
type text struct {
	path string // of the file, from the root of the tree
	line int    // of its first line in that file
	body string
}

func (x text) at(offset int) string {
	return x.path + ":" + strconv.Itoa(x.line+strings.Count(x.body[:offset], "\n"))
}

// paths returns all files and folders of the tree, relative to its root, with
// slashes.
func paths(t *testing.T) (list []string) {
	t.Helper()
	const root = "../.."
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil || rel == "." {
			return err
		}
		if rel == ".git" || rel == "bin" {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		list = append(list, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// texts returns the pages, the scripts and the comments of all Go files.
func texts(t *testing.T) (list []text) {
	t.Helper()
	for _, file := range paths(t) {
		if !slices.Contains([]string{".md", ".sh"}, path.Ext(file)) && file != "Makefile" && file != ".ci/run" {
			continue
		}
		body, err := os.ReadFile(filepath.Join("../..", file))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, text{file, 1, string(body)})
	}
	for _, s := range everything(t) {
		list = append(list, comments(s)...)
	}
	return list
}

func comments(s source) (list []text) {
	for _, group := range s.file.Comments {
		var body strings.Builder
		for _, c := range group.List {
			body.WriteString(c.Text + "\n")
		}
		list = append(list, text{s.path, s.fset.Position(group.Pos()).Line, body.String()})
	}
	return list
}

// A kindOfCitation is one way to refer to something that must exist.
type kindOfCitation struct {
	pattern *regexp.Regexp
	known   func(cited, by string) bool
	what    string
}

// TestCitations: what pages, scripts and comments refer to exists.
func TestCitations(t *testing.T) {
	kinds := kindsOfCitation(t)
	for _, x := range texts(t) {
		for _, fault := range citationFaults(x, kinds) {
			t.Error(fault)
		}
	}
}

func citationFaults(x text, kinds []kindOfCitation) (faults []string) {
	for _, kind := range kinds {
		for _, at := range kind.pattern.FindAllStringSubmatchIndex(x.body, -1) {
			cited := x.body[at[2]:at[3]]
			if !kind.known(cited, x.path) {
				faults = append(faults, x.at(at[2])+": there is no "+kind.what+" "+cited)
			}
		}
	}
	return faults
}

func kindsOfCitation(t *testing.T) []kindOfCitation {
	page, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	files, all := paths(t), everything(t)
	functions, words, exported := functions(all), identifiers(all), exported(all)
	style, listed := styleRules(string(page)), map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([AB]\d+) \|`).FindAllStringSubmatch(string(rules), -1) {
		listed[m[1]] = true
	}
	return []kindOfCitation{
		{regexp.MustCompile(`\b[Rr]ule (\d+) of style\b`), func(n, _ string) bool { return style[n] }, "rule of style"},
		{regexp.MustCompile(`\brules? of style (\d+)\b`), func(string, string) bool { return false }, "such citation: write rule N of style, not rule of style"},
		{regexp.MustCompile(`\b([AB][1-9]\d?)\b`), func(rule, _ string) bool { return listed[rule] }, "rule of the protocol or known bug in docs/rules.md:"},
		{regexp.MustCompile(`(?:^|[^\w./*-])((?:\.\./)*[\w/-]+\.(?:md|go|sh|svg|s|txt))\b`), func(file, by string) bool {
			return fileThere(file, by, files)
		}, "file"},
		{regexp.MustCompile(`(?:^|[^\w./])((?:cmd|docs|findings|internal|test)/[\w][\w/-]*)(?:$|[^\w.-]|\.\W|\.$)`), func(folder, _ string) bool {
			return slices.Contains(files, strings.TrimRight(folder, "/"))
		}, "folder"},
		{regexp.MustCompile(`\b((?:Test|Fuzz|Benchmark)[A-Z]\w+)\b`), func(name, _ string) bool { return functions[name] }, "test"},
		{regexp.MustCompile("`([A-Za-z]\\w*[a-z][A-Z]\\w*)`"), func(name, _ string) bool { return words[name] }, "identifier"},
		{regexp.MustCompile(`(?:^|[^\w/.])((?:` + strings.Join(slices.Sorted(maps.Keys(exported)), "|") + `)\.[A-Z]\w+)\b`), func(name, _ string) bool {
			room, symbol, _ := strings.Cut(name, ".")
			return exported[room][symbol]
		}, "symbol"},
	}
}

// placeholders are names of files that are examples.
var placeholders = []string{"x_linux.go"}

// fileThere reports whether the tree has a file of that name, relative to the root
// or to the folder of the citing file, or as the end of a path.
func fileThere(name, by string, files []string) bool {
	if slices.Contains(placeholders, name) || strings.HasPrefix(by, "findings/") { // these are about files of other software
		return true
	}
	bare := strings.TrimLeft(name, "./")
	return slices.ContainsFunc(files, func(file string) bool {
		return file == bare || file == path.Join(path.Dir(by), name) || strings.HasSuffix(file, "/"+bare)
	})
}

// styleRules returns the numbers of the rules in CONTRIBUTING.md.
func styleRules(page string) map[string]bool {
	_, section, _ := strings.Cut(page, "\n## Style\n")
	section, _, _ = strings.Cut(section, "\n## ")
	numbers := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(\d+)\. `).FindAllStringSubmatch(section, -1) {
		numbers[m[1]] = true
	}
	return numbers
}

// identifiers returns all identifiers of the code.
func identifiers(files []source) map[string]bool {
	words := map[string]bool{}
	for _, s := range files {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				words[id.Name] = true
			}
			return true
		})
	}
	return words
}

// exported are the names that each room declares, by the name of its package.
func exported(files []source) map[string]map[string]bool {
	symbols := map[string]map[string]bool{}
	for _, s := range files {
		name := s.file.Name.Name
		if s.other || s.isTest() || name == "main" {
			continue
		}
		if symbols[name] == nil {
			symbols[name] = map[string]bool{}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				symbols[name][n.Name.Name] = true
			case *ast.TypeSpec:
				symbols[name][n.Name.Name] = true
			case *ast.ValueSpec:
				for _, id := range n.Names {
					symbols[name][id.Name] = true
				}
			}
			return true
		})
	}
	return symbols
}

// functions returns the names of all functions.
func functions(files []source) map[string]bool {
	names := map[string]bool{}
	for _, s := range files {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// TestCommentsHaveTheNameOfTheirTest: a comment that begins with the name of a
// test is above that test.
func TestCommentsHaveTheNameOfTheirTest(t *testing.T) {
	for _, s := range everything(t) {
		for _, fault := range misnamed(s) {
			t.Error(fault)
		}
	}
}

var testName = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)[A-Z]\w*`)

func misnamed(s source) (faults []string) {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if name := testName.FindString(f.Doc.Text()); name != "" && name != f.Name.Name {
			faults = append(faults, s.line(f)+": the comment above "+f.Name.Name+" is about "+name)
		}
	}
	return faults
}

// TestMisnamedAreSeen tests the check itself.
func TestMisnamedAreSeen(t *testing.T) {
	for body, want := range map[string]int{
		"// TestA does.\nfunc TestA() {}":        0,
		"// It does.\nfunc TestA() {}":           0,
		"// TestB does.\nfunc TestA() {}":        1,
		"// TestA does.\nfunc helper() {}":       1,
		"// TestedThings are.\nfunc tested() {}": 0,
	} {
		if got := misnamed(parse(t, "p/p_test.go", "package p\n"+body)); len(got) != want {
			t.Errorf("%q: %q, want %d faults", body, got, want)
		}
	}
}

// TestCitationFaultsAreSeen tests the check itself.
func TestCitationFaultsAreSeen(t *testing.T) {
	kinds := kindsOfCitation(t)
	for _, c := range []struct {
		body   string
		faults int
	}{
		{"Rule 1 of style.", 0},
		{"Rule 99 of style, rule 0 of style, rule of style 1.", 3},
		{"A1, A63 and B64 (A36, §6.1)", 0},
		{"A64 and B65, B99", 3},
		{"see CONTRIBUTING.md, docs/rules.md, rules_test.go, ../core/doc.go, test/fuzz.sh", 0},
		{"see commands.md, docs/nothing.md, nothing.go and test/nothing.sh", 4},
		{"x_linux.go, https://example.org/nothing.md", 0},
		{"internal/core, internal/sys/udp. And docs/man/", 0},
		{"internal/nothing, docs/nothing.", 2},
		{"TestCitations and FuzzDecoder", 0},
		{"TestNothingOfThisKind", 1},
		{"`citationFaults`, `MaxAllowedIPs` and `LOG_LEVEL`", 0},
		{"`nothingOfThisKind`", 1},
		{"conf.Change, and wg.Options.Name.", 0},
		{"conf.Nothing, and (wg.Nothing)", 2},
	} {
		if got := citationFaults(text{"internal/archtest/x_test.go", 1, c.body}, kinds); len(got) != c.faults {
			t.Errorf("%q: %q, want %d faults", c.body, got, c.faults)
		}
	}
	if got := (text{"a.go", 5, "x\ny A64"}).at(4); got != "a.go:6" {
		t.Errorf("the position is %s, want a.go:6", got)
	}
}
