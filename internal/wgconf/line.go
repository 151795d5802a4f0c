package wgconf

import "bytes"

// line is one line of a file, with all that it is made of.
type line struct {
	raw  []byte // as in the file, with the line end
	form form
	key  []byte // of a directive; the squeezed text of a header
	// value is what follows the equals sign, without the white space around
	// it, and without the comment unless the directive is taken verbatim.
	value []byte
	at    int // where value begins in raw
}

// form is what a line is.
type form int

const (
	blank     form = iota
	comment        // # text
	extension      // # Key = value, where Key is one of ours
	header         // [Section]
	setting        // Key = value
	malformed      // anything else
)

// space is what wg and wg-quick treat as white space: that of isspace(3).
const space = " \t\n\v\f\r"

func newLine(raw []byte) *line {
	l := &line{raw: raw}
	code, remark, commented := bytes.Cut(raw, []byte{'#'})
	trimmed := bytes.Trim(code, space)
	switch {
	case len(trimmed) == 0 && commented:
		l.form = comment
		if l.split(len(code)+1, remark); isExtension(string(l.key)) {
			l.form = extension
		} else {
			l.key, l.value, l.at = nil, nil, 0
		}
	case len(trimmed) == 0:
		l.form = blank
	case trimmed[0] == '[':
		l.form, l.key = header, squeeze(trimmed)
	case l.split(0, code):
		l.form = setting
		if isVerbatim(string(l.key)) {
			l.split(0, raw)
		}
	default:
		l.form = malformed
	}
	return l
}

// split finds key and value in text, which begins at from in the line, and
// reports whether there is an equals sign.
func (l *line) split(from int, text []byte) bool {
	equals := bytes.IndexByte(text, '=')
	if equals < 0 {
		return false
	}
	after := text[equals+1:]
	l.key = bytes.Trim(text[:equals], space)
	l.value = bytes.Trim(after, space)
	l.at = from + equals + 1
	if len(l.value) > 0 {
		l.at += len(after) - len(bytes.TrimLeft(after, space))
	}
	return true
}

// directive reports whether the line has a key and a value.
func (l *line) directive() bool { return l.form == setting || l.form == extension }

// is reports whether the line has the directive.
func (l *line) is(name string) bool {
	return fold(string(squeeze(l.key))) == fold(name)
}

// sectionKind returns the kind of section that a header begins. As with wg, white space
// and case do not matter.
func (l *line) sectionKind() kind {
	switch fold(string(l.key)) {
	case "[interface]":
		return interfaceSection
	case "[peer]":
		return peerSection
	}
	return unknownSection
}

// end returns the line end: "\n", "\r\n", or nothing.
func (l *line) end() string {
	switch {
	case bytes.HasSuffix(l.raw, []byte("\r\n")):
		return "\r\n"
	case bytes.HasSuffix(l.raw, []byte("\n")):
		return "\n"
	}
	return ""
}

// with returns the line with another value. Everything else stays.
func (l *line) with(value string) *line {
	raw := append([]byte{}, l.raw[:l.at]...)
	raw = append(raw, value...)
	return newLine(append(raw, l.raw[l.at+len(l.value):]...))
}

// squeeze removes all white space, as wg does in every line.
func squeeze(text []byte) []byte {
	var b []byte
	for _, c := range text {
		if bytes.IndexByte([]byte(space), c) < 0 {
			b = append(b, c)
		}
	}
	return b
}

// fold converts ASCII letters to lower case.
func fold(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
