package wgconf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wgd/internal/invalid"
	"wgd/internal/quote"
	"wgd/key"
)

// Problem is an error in a file, or something doubtful. No Text has a secret.
type Problem struct {
	Line    int    // from 1; 0: the file as a whole
	Warning bool   // the file can be used nevertheless
	Text    string // a sentence
}

// In returns the problem with its location: "wg0.conf:3: MTU 12: …".
func (p Problem) In(path string) string {
	if p.Line == 0 {
		return path + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", path, p.Line, p.Text)
}

// Problems are all problems that Decode has found, in the order of the lines.
type Problems []Problem

// HasErrors reports whether one of the problems is no warning.
func (list Problems) HasErrors() bool {
	return slices.ContainsFunc(list, func(p Problem) bool { return !p.Warning })
}

// Err joins the errors among the problems of the file at path. It returns nil if there
// is none.
func (list Problems) Err(path string) error {
	var all []error
	for _, p := range list {
		if !p.Warning {
			all = append(all, invalid.Errorf("%s", p.In(path)))
		}
	}
	return errors.Join(all...)
}

func (list *Problems) add(p Problem) { *list = append(*list, p) }

func (list *Problems) errorf(line int, format string, args ...any) {
	list.add(Problem{Line: line, Text: fmt.Sprintf(format, args...)})
}

func (list *Problems) warnf(line int, format string, args ...any) {
	list.add(Problem{Line: line, Warning: true, Text: fmt.Sprintf(format, args...)})
}

func (list Problems) sort() {
	slices.SortStableFunc(list, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}

// quoteIn is quote.Text for an element of a value. If the value may be a key with
// white space in it, no element of it is repeated.
func quoteIn(value, element string) string {
	if whole := string(squeeze([]byte(value))); quote.Text(whole) != whole {
		return quote.Text(whole)
	}
	return quote.Text(element)
}

// quotePath quotes the whole path of a file, unless it is a key.
func quotePath(path string) string {
	if strings.HasPrefix(path, "/") && !key.IsEncoded(path) || strings.HasPrefix(path, "$") {
		return strings.Map(quote.Printable, path)
	}
	return quoteIn(path, path)
}
