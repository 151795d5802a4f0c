package proxyconf

import (
	"bytes"
	"errors"
	"strings"
)

// An entry is one line of a file of wireproxy.
type entry struct {
	form  form
	name  string // of a header: the section; of a setting: the key, as written
	value string // of a setting, without quotes and comment
	// cut reports that a # or ; directly after a character has ended the value.
	cut bool
	err error // of a malformed line
}

type form int

const (
	blank form = iota // an empty line or a comment
	header
	setting
	malformed
)

// The errors of lines. None repeats the line, which may be part of a secret.
var (
	errNoDelimiter = errors.New("no equals sign: write a line as KEY = VALUE, or begin a comment with #")
	errNoKey       = errors.New("there is nothing before the equals sign: write a line as KEY = VALUE")
	errSection     = errors.New("the name of a section ends with ]")
	errSeveral     = errors.New("a value that spans several lines: write it in one line")
	errNUL         = errors.New("a NUL byte: this is no text file, or it is damaged")
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// scan reads the lines of a text as wireproxy does, except that a value cannot span
// several lines.
func scan(text []byte) []entry {
	text = bytes.TrimPrefix(text, byteOrderMark)
	var entries []entry
	for line := range bytes.Lines(text) {
		entries = append(entries, scanLine(strings.TrimSpace(string(line))))
	}
	return entries
}

func scanLine(line string) entry {
	switch {
	case line == "" || line[0] == '#' || line[0] == ';':
		return entry{form: blank}
	case strings.ContainsRune(line, 0):
		return entry{form: malformed, err: errNUL}
	case line[0] == '[':
		end := strings.LastIndexByte(line, ']')
		if end < 0 {
			return entry{form: malformed, err: errSection}
		}
		return entry{form: header, name: strings.TrimSpace(line[1:end])}
	}
	key, rest, err := scanKey(line)
	if err != nil {
		return entry{form: malformed, err: err}
	}
	e := entry{form: setting, name: key}
	if e.value, e.cut, err = scanValue(rest); err != nil {
		return entry{form: malformed, err: err}
	}
	return e
}

// scanKey splits a line after its first = or :, outside of the quotes of a key.
func scanKey(line string) (key, rest string, err error) {
	start := 0
	if quote := line[0]; quote == '"' || quote == '`' {
		end := strings.IndexByte(line[1:], quote)
		if end < 0 {
			return "", "", errNoDelimiter
		}
		start = end + 2
	}
	at := strings.IndexAny(line[start:], "=:")
	switch {
	case at < 0:
		return "", "", errNoDelimiter
	case start > 0:
		return strings.TrimSpace(line[1 : start-1]), line[start+at+1:], nil
	case at == 0:
		return "", "", errNoKey
	}
	return strings.TrimSpace(line[:at]), line[at+1:], nil
}

// scanValue removes the quotes and the comment from a value.
func scanValue(text string) (value string, cut bool, err error) {
	text = strings.TrimSpace(text)
	for _, quote := range []string{`"""`, "`"} {
		if inside, ok := strings.CutPrefix(text, quote); ok && len(text) > len(quote) {
			end := strings.LastIndex(inside, quote)
			if end < 0 {
				return "", false, errSeveral
			}
			return inside[:end], false, nil
		}
	}
	if strings.HasSuffix(text, `\`) {
		return "", false, errSeveral
	}
	if at := strings.IndexAny(text, "#;"); at >= 0 {
		value = strings.TrimSpace(text[:at])
		cut = at > 0 && value == text[:at]
		text = value
	}
	for _, quote := range []string{`"`, "'"} {
		if len(text) >= 2 && strings.HasPrefix(text, quote) && strings.Index(text[1:], quote) == len(text)-2 {
			return text[1 : len(text)-1], false, nil
		}
	}
	return text, cut, nil
}

// fold makes names comparable, in which capitals do not matter.
func fold(name string) string { return strings.ToLower(name) }
