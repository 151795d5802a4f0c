package wgconf

import "bytes"

// Origin says which programs support a directive.
type Origin int

const (
	FromWg      Origin = iota // wg and all others
	FromWgQuick               // wg-quick, which does not pass it on to wg
	OurOwn                    // wgd only
)

// style is how a directive is written.
type style int

const (
	plain    style = iota
	verbatim       // what follows a # is part of the value
	remark         // in a comment, which wg-quick passes over
)

// row is one directive of a section, and T what the section becomes.
type row[T any] struct {
	name    string
	value   string // what it looks like
	meaning string
	origin  Origin
	style   style
	many    bool // several lines add up; otherwise the last one counts

	// decode takes a value. What is wrong with it goes to d.
	decode func(d *decoder, v value, t *T)
	// encode gives the values with which decode would make t; none: no line.
	encode func(t *T) []string
	// same brings an element of a list into one form, to compare; nil: it has only one.
	same func(element string) string
}

// Directive is what there is to say about one directive.
type Directive struct {
	Name, Value, Meaning string
	Origin               Origin
	Comment              bool // it is written in a comment
}

// InterfaceDirectives are those of [Interface].
func InterfaceDirectives() []Directive { return describe(interfaceRows) }

// PeerDirectives are those of [Peer].
func PeerDirectives() []Directive { return describe(peerRows) }

func describe[T any](rows []row[T]) (list []Directive) {
	for _, r := range rows {
		list = append(list, Directive{r.name, r.value, r.meaning, r.origin, r.style == remark})
	}
	return list
}

// lookup is the row of a key as it is written: capitals do not count, nor does,
// for wg alone, white space within.
func lookup[T any](rows []row[T], l *line) *row[T] {
	for i := range rows {
		r := &rows[i]
		written := fold(string(l.key))
		if r.origin == FromWg {
			written = string(squeeze([]byte(written)))
		}
		if written == fold(r.name) && (r.style == remark) == (l.form == extension) {
			return r
		}
	}
	return nil
}

// The lists below are apart from the tables, because the tables need the lines
// and the lines need these. A test compares them.
var (
	verbatimNames  = []string{"PreUp", "PostUp", "PreDown", "PostDown"}
	extensionNames = []string{"MSSClamp", "Name"}
)

func isVerbatim(key string) bool  { return among(verbatimNames, key) }
func isExtension(key string) bool { return among(extensionNames, key) }

func among(names []string, key string) bool {
	for _, name := range names {
		if fold(name) == fold(key) {
			return true
		}
	}
	return false
}

// disabled reports whether a comment is a directive with a # before it.
func (l *line) disabled() bool {
	code := newLine(bytes.TrimLeft(l.raw, space+"#"))
	return code.form == setting && (lookup(interfaceRows, code) != nil || lookup(peerRows, code) != nil)
}
