package wgconf

import (
	"bytes"
	"slices"
	"strings"

	"wgd/key"
)

// Update changes the text from the meaning of from, which Decode returned for d, to
// that of to. It changes only lines in which the two differ, and only their values. A
// new directive is formatted like its neighbours.
//
// A file that does not exist yet is an empty Document and an empty File.
func (d *Document) Update(from, to *File) {
	updateRows(d, interfaceRows, d.of(interfaceSection), func() *section { return d.insertInterface() }, &from.Interface, &to.Interface)
	old := map[key.Public]*Peer{}
	for i := range from.Peers {
		old[from.Peers[i].PublicKey] = &from.Peers[i]
	}
	sections := map[key.Public][]*section{}
	for _, s := range d.of(peerSection) {
		if public, ok := s.publicKey(); ok {
			sections[public] = append(sections[public], s)
		}
	}
	kept := map[key.Public]bool{}
	for i := range to.Peers {
		p := &to.Peers[i]
		kept[p.PublicKey] = true
		if before := old[p.PublicKey]; before != nil {
			updateRows(d, peerRows, sections[p.PublicKey], nil, before, p)
		} else {
			nobody := Peer{PublicKey: p.PublicKey}
			nobody.PublicKey[0]++ // so that all directives of p differ
			updateRows(d, peerRows, nil, func() *section { return d.appendSection("[Peer]") }, &nobody, p)
		}
	}
	for _, s := range d.of(peerSection) {
		if public, ok := s.publicKey(); ok && old[public] != nil && !kept[public] {
			d.removeSection(s)
		}
	}
}

// publicKey returns the public key of a section.
func (s *section) publicKey() (key.Public, bool) {
	lines := s.find("PublicKey")
	if len(lines) == 0 {
		return key.Public{}, false
	}
	public, err := key.ParsePublic(string(squeeze(lines[len(lines)-1].value)))
	return public, err == nil
}

// updateRows changes, in the sections of one peer or of the interface, each directive
// in which from and to differ. make adds a section if there is none yet.
func updateRows[T any](d *Document, rows []row[T], sections []*section, create func() *section, from, to *T) {
	for i := range rows {
		r := &rows[i]
		wanted := r.encode(to)
		if slices.Equal(r.encode(from), wanted) {
			continue
		}
		if len(sections) == 0 {
			sections = []*section{create()}
		}
		switch {
		case r.style == verbatim:
			setHooks(d, r, sections, wanted)
		case r.many && r.origin != FromWgQuick:
			// If a peer is given twice, the list is in its last section.
			setList(d, r, sections[len(sections)-1:], wanted)
		case r.many: // of addresses and name servers, the first ones are preferred
			setList(d, r, sections, wanted)
			setOrder(r, sections, wanted)
		default:
			setOne(d, r, sections, wanted)
		}
	}
}

// setOne changes the line that counts, which is the last one. Without a value it removes
// all lines.
func setOne[T any](d *Document, r *row[T], sections []*section, wanted []string) {
	var in *section
	var last *line
	for _, s := range sections {
		for _, l := range s.find(r.name) {
			if len(wanted) == 0 {
				s.remove(l)
				continue
			}
			in, last = s, l
		}
	}
	switch {
	case len(wanted) == 0:
	case last == nil:
		d.insert(sections[len(sections)-1], r.style, r.name, wanted[0])
	default:
		in.replace(last, wanted[0])
	}
}

// setList removes the elements that are not in the new list from the lines, and adds
// the missing ones to the last line.
func setList[T any](d *Document, r *row[T], sections []*section, wanted []string) {
	same := r.same
	missing := map[string]bool{}
	for _, w := range wanted {
		missing[same(w)] = true
	}
	var in *section
	var last *line
	for _, s := range sections {
		for _, l := range s.find(r.name) {
			elements := words(string(l.value))
			kept := slices.DeleteFunc(slices.Clone(elements), func(e string) bool {
				stays := missing[same(e)]
				delete(missing, same(e))
				return !stays
			})
			switch {
			case len(kept) == 0:
				s.remove(l)
				continue
			case len(kept) < len(elements):
				l = s.replace(l, strings.Join(kept, l.comma()))
			}
			in, last = s, l
		}
	}
	added := slices.DeleteFunc(slices.Clone(wanted), func(w string) bool { return !missing[same(w)] })
	switch {
	case len(added) == 0:
	case last == nil:
		d.insert(sections[len(sections)-1], r.style, r.name, strings.Join(added, ", "))
	default:
		in.replace(last, string(last.value)+last.comma()+strings.Join(added, last.comma()))
	}
}

// setOrder rewrites a list, in its first line, if its elements are not in the new order.
func setOrder[T any](r *row[T], sections []*section, wanted []string) {
	var lines []*line
	var in []*section
	dec, t := &decoder{file: &File{}}, new(T)
	for _, s := range sections {
		for _, l := range s.find(r.name) {
			r.decode(dec, value{name: r.name, text: string(l.value)}, t)
			lines, in = append(lines, l), append(in, s)
		}
	}
	if slices.Equal(r.encode(t), wanted) {
		return
	}
	in[0].replace(lines[0], strings.Join(wanted, lines[0].comma()))
	for i, l := range lines[1:] {
		in[i+1].remove(l)
	}
}

// comma returns the separator of the elements of a list.
func (l *line) comma() string {
	first, rest, more := strings.Cut(string(l.value), ",")
	if !more {
		return ", "
	}
	space := func(s string) bool { return strings.Trim(s, " \t") == "" }
	before := first[len(strings.TrimRight(first, " \t")):]
	after := rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))]
	if !space(before) || !space(after) {
		return ", "
	}
	return before + "," + after
}

// setHooks replaces the lines of a hook by the new ones, in their order.
func setHooks[T any](d *Document, r *row[T], sections []*section, wanted []string) {
	for _, s := range sections {
		for _, l := range s.find(r.name) {
			if len(wanted) > 0 && string(l.value) == wanted[0] {
				wanted = wanted[1:]
				continue
			}
			s.remove(l)
		}
	}
	for _, w := range wanted {
		d.insert(sections[len(sections)-1], r.style, r.name, w)
	}
}

// replace changes the value of a line, and zeroes the old line.
func (s *section) replace(l *line, value string) *line {
	i := slices.Index(s.lines, l)
	if string(l.value) == value {
		return l
	}
	s.lines[i] = l.with(value)
	clear(l.raw)
	return s.lines[i]
}

// insert adds a directive below the last one of the section, with the same
// space around it as that has; one in a comment right below the header.
func (d *Document) insert(s *section, style style, name, value string) {
	place, indent, equals := 1, "", " = "
	for i, l := range s.lines {
		if l.directive() && style != remark {
			place = i + 1
		}
		if l.form == setting {
			before, _, _ := bytes.Cut(l.raw, l.key)
			indent = string(before)
			if between := l.raw[len(before)+len(l.key) : l.at]; len(l.value) > 0 {
				equals = string(between)
			}
		}
	}
	if style == remark {
		name = "# " + name
	}
	d.insertLine(s, place, indent+name+equals+value)
}

// insertLine inserts a line into a section, with the line end of its neighbours. At the
// end of a file without a final line end, the new last line has none.
func (d *Document) insertLine(s *section, place int, text string) {
	end := d.lineEnd()
	if place > 0 {
		if above := s.lines[place-1]; above.end() == "" {
			s.lines[place-1] = newLine(append(bytes.Clone(above.raw), end...))
			clear(above.raw)
			end = ""
		}
	}
	s.lines = slices.Insert(s.lines, place, newLine([]byte(text+end)))
}

// lineEnd returns the line end of the file.
func (d *Document) lineEnd() string {
	for _, s := range d.sections {
		for _, l := range s.lines {
			if end := l.end(); end != "" {
				return end
			}
		}
	}
	return "\n"
}

// insertInterface inserts [Interface] below the lines above all headers.
func (d *Document) insertInterface() *section {
	s := &section{kind: interfaceSection}
	if len(d.sections) > 1 {
		s.lines = []*line{newLine([]byte("[Interface]" + d.lineEnd())), newLine([]byte(d.lineEnd()))}
		// Comments right above the next header belong to that header.
		above := d.sections[0]
		n := above.lead()
		s.lines = append(s.lines, above.lines[n:]...)
		above.lines = above.lines[:n:n]
		d.sections = slices.Insert(d.sections, 1, s)
		return s
	}
	return d.appendSection("[Interface]")
}

// appendSection adds a section below all others, after an empty line.
func (d *Document) appendSection(title string) *section {
	last := d.sections[len(d.sections)-1]
	end := d.lineEnd()
	final := end
	if n := len(last.lines); n > 0 {
		if l := last.lines[n-1]; l.end() == "" {
			last.lines[n-1] = newLine(append(bytes.Clone(l.raw), end...))
			clear(l.raw)
			final = ""
		}
		if last.lines[n-1].form != blank {
			last.lines = append(last.lines, newLine([]byte(end)))
		}
	}
	h := newLine([]byte(title + final))
	s := &section{kind: h.sectionKind(), lines: []*line{h}}
	d.sections = append(d.sections, s)
	return s
}

// lead returns where, at the end of a section, the comments directly above the next
// header begin, without an empty line in between: they belong to that header, except
// directives that are commented out.
func (s *section) lead() int {
	n := len(s.lines)
	for n > 0 && s.lines[n-1].form == comment && !s.lines[n-1].disabled() {
		n--
	}
	return n
}

// removeSection removes a section, with the comments directly above it. Those at its
// end, which belong to the next section, stay.
func (d *Document) removeSection(s *section) {
	i := slices.Index(d.sections, s)
	above := d.sections[i-1]
	lead, tail := above.lead(), s.lead()
	if i == len(d.sections)-1 {
		tail = len(s.lines)
	}
	for _, l := range above.lines[lead:] {
		clear(l.raw)
	}
	for _, l := range s.lines[:tail] {
		clear(l.raw)
	}
	above.lines = append(above.lines[:lead:lead], s.lines[tail:]...)
	d.sections = slices.Delete(d.sections, i, i+1)
	if i == len(d.sections) { // no empty lines at the end of the file
		for n := len(above.lines); n > 0 && above.lines[n-1].form == blank; n-- {
			above.lines = above.lines[:n-1]
		}
	}
}
