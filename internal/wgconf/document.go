package wgconf

import (
	"bytes"
	"slices"
)

// Document is the text of a configuration file. A secret in it stays there
// until Erase.
type Document struct {
	sections []*section // the first one has no header: the lines above all headers
}

// section is a header, and the lines up to the next one.
type section struct {
	kind  kind
	lines []*line // the first one is the header, except in the first section
}

// kind is what a section is about.
type kind int

const (
	preamble         kind = iota // above the first header
	interfaceSection             // [Interface]
	peerSection                  // [Peer]
	unknownSection
)

// Parse reads any text. The Document keeps no reference to it.
func Parse(text []byte) *Document {
	d := &Document{sections: []*section{{}}}
	for rest := bytes.Clone(text); len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		l := newLine(rest[:end:end])
		if l.form == header {
			d.sections = append(d.sections, &section{kind: l.sectionKind()})
		}
		s := d.sections[len(d.sections)-1]
		s.lines = append(s.lines, l)
		rest = rest[end:]
	}
	return d
}

// Bytes returns the text.
func (d *Document) Bytes() []byte {
	var text []byte
	for _, s := range d.sections {
		for _, l := range s.lines {
			text = append(text, l.raw...)
		}
	}
	return text
}

// Erase zeroes the text, and with it the secrets: d is empty afterwards. A line
// that Update replaced is zeroed at that time.
func (d *Document) Erase() {
	for _, s := range d.sections {
		for _, l := range s.lines {
			clear(l.raw)
		}
	}
	d.sections = []*section{{}}
}

// of returns the sections of a kind.
func (d *Document) of(k kind) (list []*section) {
	for _, s := range d.sections {
		if s.kind == k {
			list = append(list, s)
		}
	}
	return list
}

// find returns the lines of s with a directive.
func (s *section) find(name string) (list []*line) {
	for _, l := range s.lines {
		if l.directive() && l.is(name) {
			list = append(list, l)
		}
	}
	return list
}

// remove removes one line and zeroes it.
func (s *section) remove(l *line) {
	if i := slices.Index(s.lines, l); i >= 0 {
		s.lines = slices.Delete(s.lines, i, i+1)
		clear(l.raw)
	}
}
