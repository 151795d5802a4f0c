package archtest

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// A scope is where a retired word is refused. Each one includes those above it.
type scope int

const (
	asDeclaration scope = iota // as the whole name of something that a package declares
	asName                     // as the whole name of anything: a field, a variable, a parameter, a function
	inName                     // as a word of a name, also of a file or a folder
	anywhere                   // in comments, texts and pages as well
)

// A retiredWord once was the name of a part of the program, or of a helper, for
// which the field has a better one.
type retiredWord struct {
	word    string
	scope   scope
	instead string
	outside *regexp.Regexp // where the word belongs to other software, or nil
}

// retired are the words that nothing is called any more. A word that a sentence
// may need as plain English is refused as a name only.
var retired = []retiredWord{
	{word: "turnstile", scope: anywhere, instead: "sequencer"},
	{word: "baton", scope: anywhere, instead: "read lock"},
	{word: "gear", scope: anywhere, instead: "governor"},
	{word: "bundle", scope: anywhere, instead: "queue group"},
	{word: "breadth", scope: anywhere, instead: "queue scaler"},
	{word: "pursuit", scope: anywhere, instead: "handshake, or its attempts"},
	{word: "outlet", scope: anywhere, instead: "sender"},
	{word: "carrier", scope: anywhere, instead: "lane, or sender",
		outside: regexp.MustCompile(`(?i)no[-_]carrier|carrier[- ](grade|state)|(link|interface)'s carrier|ConfigureWithoutCarrier|IgnoreCarrierLoss`)},
	{word: "reminder", scope: anywhere, instead: "note, or the time of the next one"},
	{word: "recall", scope: inName, instead: "what the function does"},
	{word: "crowd", scope: inName, instead: "peers, connections, or whatever there are many of"},
	{word: "crowded", scope: inName, instead: "with many peers, or however many"},
	{word: "couple", scope: inName, instead: "pair, or what joins the two"},
	{word: "mute", scope: inName, instead: "what is not sent, or why"},
	{word: "aim", scope: inName, instead: "what is chosen or set"},
	{word: "beside", scope: asName, instead: "a verb"},
	{word: "through", scope: asName, instead: "a verb"},
	{word: "most", scope: asName, instead: "max, or max with what it bounds"},
	{word: "least", scope: asName, instead: "min, or min with what it bounds"},
	{word: "policy", scope: asDeclaration, instead: "spread policy, or whatever decides what"},
	{word: "trials", scope: asDeclaration, instead: "hill climber, or whatever is tried"},
}

// TestRetiredWords: what has a proper term now is not called anything else.
// docs/glossary.md has the terms.
func TestRetiredWords(t *testing.T) {
	var faults []string
	for _, s := range everything(t) {
		faults = append(faults, wordFaultsOfCode(s)...)
	}
	for _, x := range texts(t) {
		faults = append(faults, wordFaultsOfText(x)...)
	}
	for _, file := range paths(t) {
		faults = append(faults, wordFaultsOfName(file, file, inName)...)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

// theTable is this file, which has to name the words.
const theTable = "internal/archtest/words_test.go"

// wordFaultsOfCode looks at the names that a file declares, and at its texts. A
// name that it only uses is declared elsewhere: here, or by other software.
func wordFaultsOfCode(s source) (faults []string) {
	if s.path == theTable {
		return nil
	}
	global := map[*ast.Ident]bool{}
	for _, id := range globals(s.file) {
		global[id] = true
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		for _, id := range declaredBy(n) {
			from := asName
			if global[id] {
				from = asDeclaration
			}
			faults = append(faults, wordFaultsOfName(s.line(id), id.Name, from)...)
		}
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			x := text{s.path, s.fset.Position(literal.Pos()).Line, literal.Value}
			faults = append(faults, wordFaultsOfText(x)...)
		}
		return true
	})
	return faults
}

// declaredBy are the names that a node declares itself.
func declaredBy(n ast.Node) (list []*ast.Ident) {
	add := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			if id, ok := e.(*ast.Ident); ok && id != nil {
				list = append(list, id)
			}
		}
	}
	switch n := n.(type) {
	case *ast.File:
		add(n.Name)
	case *ast.ImportSpec:
		add(n.Name)
	case *ast.FuncDecl:
		add(n.Name)
	case *ast.TypeSpec:
		add(n.Name)
	case *ast.LabeledStmt:
		add(n.Label)
	case *ast.ValueSpec:
		list = n.Names
	case *ast.Field:
		list = n.Names
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE {
			add(n.Lhs...)
		}
	case *ast.RangeStmt:
		if n.Tok == token.DEFINE {
			add(n.Key, n.Value)
		}
	}
	return list
}

// wordFaultsOfName looks at one name for words whose scope is from or wider.
func wordFaultsOfName(at, name string, from scope) (faults []string) {
	words := wordsOf(name)
	for _, r := range retired {
		is := r.scope >= from && r.scope < inName && strings.EqualFold(name, r.word)
		has := r.scope >= inName && slices.ContainsFunc(words, r.matches)
		if is || has {
			faults = append(faults, r.fault(at, name))
		}
	}
	return faults
}

var wordInText = regexp.MustCompile(`[A-Za-z][\w-]*`)

// wordFaultsOfText looks at a comment, a text in code, or a page. Findings are
// about other software, which has words of its own.
func wordFaultsOfText(x text) (faults []string) {
	if x.path == theTable || path.Dir(x.path) == "findings" {
		return nil
	}
	for i, line := range strings.Split(x.body, "\n") {
		for _, r := range retired {
			if r.scope != anywhere {
				continue
			}
			line := line
			if r.outside != nil {
				line = r.outside.ReplaceAllString(line, "")
			}
			for _, word := range wordInText.FindAllString(line, -1) {
				if slices.ContainsFunc(wordsOf(word), r.matches) {
					faults = append(faults, r.fault(x.path+":"+strconv.Itoa(x.line+i), word))
				}
			}
		}
	}
	return faults
}

// matches reports whether a word is the retired one, or its plural.
func (r retiredWord) matches(word string) bool {
	return strings.TrimSuffix(strings.ToLower(word), "s") == r.word
}

func (r retiredWord) fault(at, found string) string {
	return at + ": " + found + ": the word " + r.word + " is retired: write " + r.instead
}

// wordsOf splits a name where its case changes, and at everything that is no
// letter: readHTTPHeader_2 is read, HTTP and Header.
func wordsOf(name string) (words []string) {
	letters, begin := []rune(name), 0
	end := func(i int) {
		if i > begin {
			words = append(words, string(letters[begin:i]))
		}
	}
	for i, r := range letters {
		switch {
		case !unicode.IsLetter(r):
			end(i)
			begin = i + 1
		case i == begin || !unicode.IsUpper(r):
		case unicode.IsLower(letters[i-1]), i+1 < len(letters) && unicode.IsLower(letters[i+1]):
			end(i)
			begin = i
		}
	}
	end(len(letters))
	return words
}

// TestWordsOf: a name is split into its words.
func TestWordsOf(t *testing.T) {
	for name, want := range map[string][]string{
		"":                 nil,
		"a":                {"a"},
		"readHTTPHeader_2": {"read", "HTTP", "Header"},
		"MuteStderr":       {"Mute", "Stderr"},
		"immutable":        {"immutable"},
		"text512k":         {"text", "k"},
		"IFLA_CARRIER":     {"IFLA", "CARRIER"},
		"newGEAR":          {"new", "GEAR"},
		"crowd_test.go":    {"crowd", "test", "go"},
	} {
		if got := wordsOf(name); !slices.Equal(got, want) {
			t.Errorf("%s has the words %q, want %q", name, got, want)
		}
	}
}

// TestRetiredWordsAreSeen tests the check itself.
func TestRetiredWordsAreSeen(t *testing.T) {
	for code, want := range map[string]int{
		"package p":                                            0,
		"package turnstile":                                    1,
		"package p; type turnstileHead int":                    1,
		"package p; type Turnstiles int":                       1,
		"package p; func f(gear int) {}":                       1,
		"package p; func f() (gears []int) { return }":         1,
		"package p; var _ = unix.IFLA_CARRIER":                 0,
		"package p; var v = link.Carrier":                      0,
		"package p; type link struct{ Carrier bool }":          1,
		"package p; // its baton\nvar v int":                   1,
		"package p; // batons\nvar v int":                      1,
		"package p; // See takeBaton.\nvar v int":              1,
		"package p; // NO-CARRIER, or carrier-grade":           0,
		"package p; // the link's carrier":                     0,
		"package p; // a carrier":                              1,
		"package p; // bundled and geared":                     0,
		"package p; // a\n// b\n// gear\n":                     1,
		"package p; var v = \"no outlet\"":                     1,
		"package p; // a crowd, a couple, muted":               0,
		"package p; // aim through and beside the most":        0,
		"package p; type crowd int":                            1,
		"package p; func newCrowd() {}":                        1,
		"package p; func (k *kernel) aim() {}":                 1,
		"package p; func claim(mutex, permute int) {}":         0,
		"package p; import couple \"x\"":                       1,
		"package p; func f() { muteStderr := 1 }":              1,
		"package p; func f() { for mute := range v {} }":       1,
		"package p; func f() { mute: for {} }":                 1,
		"package p; func Beside() {}":                          1,
		"package p; func (j Job) Through() {}":                 1,
		"package p; type J struct{ beside, through int }":      2,
		"package p; func TestKeepaliveThroughNAT() {}":         0,
		"package p; func GoesThrough() {}":                     0,
		"package p; func f(most, least int) {}":                2,
		"package p; const most = 1":                            1,
		"package p; func f() { least := 1 }":                   1,
		"package p; type r struct{ Most int }":                 1,
		"package p; func atMost() { most() }":                  0,
		"package p; var _ = r{least: 1}.most":                  0,
		"package p; type policy int":                           1,
		"package p; func (o o) trials() {}":                    1,
		"package p; func f(policy int) { trials := 1 }":        0,
		"package p; type spreadPolicy struct{ trials int }":    0,
		"package p; type PolicyRouting int; var trial, at int": 0,
	} {
		s := parse(t, "p/p.go", code)
		faults := wordFaultsOfCode(s)
		for _, x := range comments(s) {
			faults = append(faults, wordFaultsOfText(x)...)
		}
		if len(faults) != want {
			t.Errorf("%s\nhas the faults %q, want %d", code, faults, want)
		}
	}
	for file, want := range map[string]int{"docs/gear.md": 1, "p/crowd_test.go": 1, "bundles/a.go": 1, "p/most.go": 0, "a/mutex.go": 0} {
		if faults := wordFaultsOfName(file, file, inName); len(faults) != want {
			t.Errorf("%s has the faults %q, want %d", file, faults, want)
		}
	}
	got := wordFaultsOfText(text{"docs/a.md", 1, "# A\n\nThe Gear.\n"})
	if want := "docs/a.md:3: Gear: the word gear is retired: write governor"; !slices.Equal(got, []string{want}) {
		t.Errorf("a page has the faults %q, want %q", got, want)
	}
	for _, exempt := range []string{theTable, "findings/veth-carrier.sh"} {
		if faults := wordFaultsOfText(text{exempt, 1, "carrier"}); len(faults) > 0 {
			t.Errorf("%s has the faults %q", exempt, faults)
		}
	}
}
