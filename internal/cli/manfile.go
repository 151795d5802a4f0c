package cli

import "strings"

// A FilePage is a manual page that is not about a command: about the format of a file, in
// section 5, or about a device, in section 4.
type FilePage struct {
	Name        string // "wgd.conf"
	Section     string // "5"
	Summary     string // one line without a full stop
	Source      string // what the page is generated from
	Synopsis    string // the name of the file, or how the device is made
	Description []string
	Chapters    []Chapter
	Files       []Entry
	Examples    []Example
	SeeAlso     []string
}

// A Chapter is a part of a FilePage: paragraphs, and then a list.
type Chapter struct {
	Title   string
	Text    []string
	Entries []Entry // the term may have the form KEY = VALUE
}

// manuals are the titles of the sections of the manual.
var manuals = map[string]string{"4": "Kernel Interfaces Manual", "5": "File Formats Manual"}

// ManFilePage returns the page in roff, with the man macros.
func ManFilePage(f *FilePage) []byte {
	p := &page{}
	p.line(`.\" Generated from %s by go generate ./docs/man: do not edit.`, f.Source)
	p.line(`.TH %s %s %s %s "%s"`, strings.ToUpper(f.Name), f.Section, pageDate, pageSource, manuals[f.Section])
	p.section("NAME")
	p.line(`%s \- %s`, escape(f.Name), escape(f.Summary))
	p.section("SYNOPSIS")
	p.line(`\fI%s\fR`, escape(f.Synopsis))
	p.section("DESCRIPTION")
	p.paragraphs(f.Description)
	for _, chapter := range f.Chapters {
		p.section(strings.ToUpper(chapter.Title))
		p.paragraphs(chapter.Text)
		for _, e := range chapter.Entries {
			p.entry(roffSetting(e.Term), e.Text)
		}
	}
	p.entries("FILES", `\fI%s\fR`, f.Files)
	p.examples(f.Examples)
	p.seeAlso(f.SeeAlso)
	return p.Bytes()
}

// roffSetting formats a term KEY = VALUE, with the key in bold and the value in
// italics.
func roffSetting(term string) string {
	name, value, has := strings.Cut(term, " = ")
	if !has {
		return `\fB` + escape(term) + `\fR`
	}
	return `\fB` + escape(name) + `\fR = \fI` + escape(value) + `\fR`
}
