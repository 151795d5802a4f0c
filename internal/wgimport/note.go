package wgimport

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"wgd/internal/quote"
)

// Kind says what became of something in a source.
type Kind int

const (
	Lost    Kind = iota // not carried over
	Changed             // carried over, but there is something to know
	Refused             // the whole source is not imported
)

// String is the kind as JSON has it.
func (k Kind) String() string { return [...]string{"lost", "changed", "refused"}[k] }

// Note says what was not carried over, and why. No Text has a secret.
type Note struct {
	File string // of the source, printable
	Line int    // from 1; 0: the file as a whole
	Key  string // as the source has it; "" if it is not about a key
	Kind Kind
	Text string
}

// String is the note as a line: "wg0.netdev:9: RouteMetric: not carried over: …".
func (n Note) String() string {
	var b strings.Builder
	b.WriteString(n.File)
	if n.Line > 0 {
		fmt.Fprintf(&b, ":%d", n.Line)
	}
	b.WriteString(": ")
	if n.Key != "" {
		b.WriteString(n.Key + ": ")
	}
	switch n.Kind {
	case Lost:
		b.WriteString("not carried over: ")
	case Refused:
		b.WriteString("not imported: ")
	}
	b.WriteString(n.Text)
	return b.String()
}

// place is where something stands in a source.
type place struct {
	file string
	line int
	key  string
}

// notes collects notes.
type notes struct{ list []Note }

func (n *notes) add(at place, kind Kind, format string, args ...any) {
	n.list = append(n.list, Note{File: at.file, Line: at.line, Key: at.key, Kind: kind, Text: fmt.Sprintf(format, args...)})
}

func (n *notes) lost(at place, format string, args ...any)    { n.add(at, Lost, format, args...) }
func (n *notes) changed(at place, format string, args ...any) { n.add(at, Changed, format, args...) }
func (n *notes) refused(file, format string, args ...any) {
	n.add(place{file: file}, Refused, format, args...)
}

// sort puts the notes about one source in the order of its lines, each one once.
func (n *notes) sort() {
	seen := map[Note]bool{}
	n.list = slices.DeleteFunc(n.list, func(note Note) bool {
		again := seen[note]
		seen[note] = true
		return again
	})
	order := map[string]int{}
	for i, note := range n.list {
		if _, known := order[note.File]; !known {
			order[note.File] = i
		}
	}
	slices.SortStableFunc(n.list, func(a, b Note) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line))
	})
}

// lineNumber is how package wgconf refers to another line of a file.
var lineNumber = regexp.MustCompile(`\bline [0-9]+\b`)

// relocate makes the lines of our file that a text mentions those of the source.
func relocate(text string, line func(n int) int) string {
	return lineNumber.ReplaceAllStringFunc(text, func(match string) string {
		n, err := strconv.Atoi(strings.TrimPrefix(match, "line "))
		if err != nil {
			return match
		}
		return fmt.Sprintf("line %d", line(n))
	})
}

// maxFileName is what a message repeats of a name.
const maxFileName = 200

// printable makes the name of a file fit for a line: those in a zip are foreign.
func printable(name string) string {
	name = quote.Path(name)
	if len(name) > maxFileName {
		name = strings.ToValidUTF8(name[:maxFileName], "") + "…"
	}
	return name
}

// label is how messages name a key that no table has: without anything that
// could be a part of a secret.
func label(key string) string { return quote.Text(key) }
