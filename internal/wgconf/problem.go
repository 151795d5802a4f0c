package wgconf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"wgd/internal/invalid"
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

// What quote repeats of a text: up to maxQuoted bytes. Of a word of minKey
// letters or more, which could be a part of a key, it repeats maxOfKey.
const (
	maxQuoted = 80
	maxOfKey  = 4
	minKey    = 16
)

// Quote is what messages may repeat of a text from a file: short, printable, and
// without any part of a key.
func Quote(text string) string { return quote(text) }

// quote makes a text from a file fit for a sentence: short, printable, and
// without any part of a key, which may stand where it does not belong.
func quote(text string) string {
	text = hideKeys(text) // first: what a cut leaves of a key could be too short to be found
	if len(text) <= maxQuoted {
		return text
	}
	end := maxQuoted
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// hideKeys shortens every word that could be a part of a key, and replaces what
// cannot be printed.
func hideKeys(text string) string {
	var b strings.Builder
	run := 0 // letters that a key could have, up to here
	flush := func(until int) {
		word := text[until-run : until]
		if run >= minKey {
			word = word[:maxOfKey] + "…"
		}
		b.WriteString(word)
		run = 0
	}
	for i, r := range text {
		if inKey(r) {
			run++
			continue
		}
		flush(i)
		b.WriteRune(printable(r))
	}
	flush(len(text))
	return b.String()
}

// quoteIn is quote for an element of a value. If the value may be a key with
// white space in it, no element of it is repeated.
func quoteIn(value, element string) string {
	if whole := string(squeeze([]byte(value))); quote(whole) != whole {
		return quote(whole)
	}
	return quote(element)
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r == '\uFFFD' {
		return '?'
	}
	return r
}

// inKey reports whether the base64 or the hexadecimal digits of a key have r.
func inKey(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+/=", r)
}

// quotePath quotes the whole path of a file, unless it is a key.
func quotePath(path string) string {
	if strings.HasPrefix(path, "/") && !key.IsEncoded(path) || strings.HasPrefix(path, "$") {
		return strings.Map(printable, path)
	}
	return quoteIn(path, path)
}
