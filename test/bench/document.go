package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// A part is a piece of a document that -write replaces. Two lines mark its place.
type part struct {
	name  string
	write func(*results, io.Writer, surroundings)
}

var parts = []part{
	{"table", (*results).markdown},
	{"summary", (*results).summary},
}

func (p part) begins() string { return "<!-- make bench writes this " + p.name + " -->\n" }
func (p part) ends() string   { return "<!-- end of the " + p.name + " -->\n" }

// fill replaces the part in a document. It reports whether the document has a place
// for it.
func (p part) fill(document, text string) (filled string, ok bool) {
	before, rest, begins := strings.Cut(document, p.begins())
	_, after, ends := strings.Cut(rest, p.ends())
	if !begins || !ends {
		return document, false
	}
	return before + p.begins() + text + p.ends() + after, true
}

// hasPlace returns an error if -write cannot fill in the document.
func hasPlace(file string) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, ok := p.fill(string(document), ""); ok {
			return nil
		}
	}
	p := parts[0]
	return fmt.Errorf("%s: no place for a table: put these two lines where it belongs:\n%s%s", file, p.begins(), p.ends())
}

// writeInto fills all parts that the documents have places for.
func (r *results) writeInto(files []string, s surroundings) error {
	var failed []error
	for _, file := range files {
		document, err := os.ReadFile(file)
		if err == nil {
			text := string(document)
			for _, p := range parts {
				var b strings.Builder
				p.write(r, &b, s)
				text, _ = p.fill(text, b.String())
			}
			err = os.WriteFile(file, []byte(text), 0o644)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// markdown writes the whole table for a document.
func (r *results) markdown(w io.Writer, s surroundings) {
	fmt.Fprintf(w, "%s\n\n", fold(s.String()+"."))
	fmt.Fprintf(w, "| | wgd | %s | ratio (min–max) | target | |\n", r.rival)
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- |")
	for _, l := range r.lines {
		cells := l.cells(r.rival)
		fmt.Fprintf(w, "| %s, %s | %s |\n", l.Title, l.Unit, strings.Join(cells, " | "))
	}
	fmt.Fprintln(w)
	for _, remark := range r.remarks() {
		fmt.Fprintln(w, fold(remark))
	}
}

// summaryRows are the rows of the summary.
var summaryRows = []string{"tcp", "tcp-cpu", "udp64", "ping-full", "responder", "memory"}

// summary writes a few rows for readers who do not know the benchmark.
func (r *results) summary(w io.Writer, s surroundings) {
	fmt.Fprintf(w, "| | wgd | %s | |\n| --- | --- | --- | --- |\n", r.rival)
	for _, l := range r.lines {
		if slices.Contains(summaryRows, l.ID) {
			fmt.Fprintf(w, "| %s, %s | %s | %s | %s× |\n",
				l.Title, l.Unit, short(summarize(l.Ours).Median), short(summarize(l.Theirs).Median), short(l.Ratio.Median))
		}
	}
	fmt.Fprintf(w, "\n%s\n", fold(fmt.Sprintf("Measured on %s, on %d cores (%s), Linux %s, %s with the cipher's %s kernel, compared with %s.",
		s.when.Format("2 January 2006"), s.cores, s.processor, s.kernel, s.ours, s.aead, s.theirs)))
}

// lineWidth is the length of the longest line of prose in a document.
const lineWidth = 100

// fold breaks a paragraph into lines.
func fold(text string) string {
	var b strings.Builder
	width := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && width+1+n > lineWidth:
			b.WriteByte('\n')
			width = 0
		case i > 0:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String()
}
