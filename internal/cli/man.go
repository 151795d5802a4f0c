package cli

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// The footer of every manual page. The date is that of the last change of the layout,
// not of the day on which the page was generated, so that the same table always gives
// the same page.
const (
	pageDate    = "2026-11-22"
	pageSource  = "wgd"
	pageSection = "8"
	pageManual  = "System Manager's Manual"
)

// ManPage returns the command's manual page, in roff with the man macros.
func ManPage(c *Command) []byte {
	p := &page{}
	p.line(`.\" Generated from the table in cmd/%s by go generate ./docs/man: do not edit.`, c.Name)
	p.line(`.TH %s %s %s %s "%s"`, strings.ToUpper(c.Name), pageSection, pageDate, pageSource, pageManual)
	p.section("NAME")
	p.line(`%s \- %s`, escape(c.Name), escape(c.Summary))
	p.synopsis(c)
	p.section("DESCRIPTION")
	p.paragraphs(c.Description)
	p.placeholders(c)
	p.commands(c)
	p.options(c)
	p.entries("FILES", `\fI%s\fR`, c.Files)
	p.entries("ENVIRONMENT", `\fB%s\fR`, c.Environment)
	p.entries("EXIT STATUS", `\fB%s\fR`, append(statuses(), c.Exit...))
	p.examples(c.Examples)
	p.seeAlso(c.SeeAlso)
	return p.Bytes()
}

func statuses() []Entry {
	return []Entry{
		{"0", "Success."},
		{"1", "Failure; standard error says what was wrong and what to do."},
		{"2", "The command line was wrong; standard error has its usage line."},
	}
}

// A page is a manual page that is being written.
type page struct{ bytes.Buffer }

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(&p.Buffer, format+"\n", args...)
}

func (p *page) section(title string) { p.line(".SH %s", title) }

func (p *page) synopsis(c *Command) {
	p.section("SYNOPSIS")
	for _, form := range c.visible() {
		p.line(".SY %s", escape(c.Name))
		if line := c.roffSynopsis(form); line != "" {
			p.line("%s", line)
		}
		p.line(".YS")
	}
}

// roffSynopsis returns what follows the name of the command in the synopsis, with
// literals in bold and placeholders in italics.
func (c *Command) roffSynopsis(form *Form) string {
	var parts, options []string
	for _, o := range c.optionsOf(form) {
		options = append(options, "["+roffOption(o)+"]")
	}
	inserted := false
	for _, w := range parseSyntax(form.Syntax) {
		if w.marker {
			parts, inserted = append(parts, options...), true
			continue
		}
		parts = append(parts, roffWord(w))
	}
	if !inserted {
		parts = append(parts, options...)
	}
	return strings.Join(parts, " ")
}

func roffWord(w word) string {
	font, dots := `\fI`, ""
	if w.literal {
		font = `\fB`
	}
	if w.repeat {
		dots = "..."
	}
	s := font + escape(w.text) + `\fR` + dots
	if w.opens {
		s = "[" + s
	}
	if w.closes {
		s += "]"
	}
	return s
}

func roffOption(o Option) string {
	dashed := o.usage()
	name, value, has := strings.Cut(dashed, "=")
	if !has {
		name, value, has = strings.Cut(dashed, " ")
		if has {
			return `\fB` + escape(name) + `\fR \fI` + escape(value) + `\fR`
		}
		return `\fB` + escape(name) + `\fR`
	}
	return `\fB` + escape(name) + `\fR=\fI` + escape(value) + `\fR`
}

// placeholders explains the placeholders, in the order in which the forms use them.
func (p *page) placeholders(c *Command) {
	names := c.placeholderNames()
	if len(names) == 0 {
		return
	}
	p.line(".PP")
	p.line("The placeholders are:")
	for _, name := range names {
		p.entry(`\fI`+escape(name)+`\fR`, c.Placeholder[name])
	}
}

// placeholderNames returns the placeholders of the visible forms, each once.
func (c *Command) placeholderNames() []string {
	var names []string
	seen := map[string]bool{}
	for _, form := range c.visible() {
		for _, w := range parseSyntax(form.Syntax) {
			if !w.literal && !w.marker && !seen[w.text] {
				seen[w.text] = true
				names = append(names, w.text)
			}
		}
	}
	return names
}

func (p *page) commands(c *Command) {
	p.section("COMMANDS")
	for _, form := range c.visible() {
		// Without the options: the synopsis has them, and long terms wrap badly.
		term := `\fB` + escape(c.Name) + `\fR`
		for _, w := range parseSyntax(form.Syntax) {
			if !w.marker {
				term += " " + roffWord(w)
			}
		}
		p.entry(term, form.Summary)
		for _, text := range form.Text {
			p.line(".IP")
			p.text(sentence(text))
		}
	}
}

func (p *page) options(c *Command) {
	p.section("OPTIONS")
	for _, o := range c.allOptions() {
		term := roffOption(o)
		if o.Short != 0 && o.Long != "" {
			term = fmt.Sprintf(`\fB\-%c\fR, %s`, o.Short, term)
		}
		p.entry(term, o.Text)
	}
}

// allOptions returns the options of the visible forms, each once, and those that every
// command has.
func (c *Command) allOptions() []Option {
	var options []Option
	seen := map[string]bool{}
	for _, form := range c.visible() {
		for _, o := range c.optionsOf(form) {
			if !seen[o.name()] {
				seen[o.name()] = true
				options = append(options, o)
			}
		}
	}
	return append(options,
		Option{Long: "help", Short: 'h', Text: "Print how to use the command or, after the words of a form, how to use that form."},
		Option{Long: "version", Text: "Print the version."})
}

func (p *page) entries(title, font string, entries []Entry) {
	if len(entries) == 0 {
		return
	}
	p.section(title)
	for _, e := range entries {
		p.entry(fmt.Sprintf(font, escape(e.Term)), e.Text)
	}
}

func (p *page) entry(term, text string) {
	p.line(".TP")
	p.line("%s", term)
	p.text(sentence(text))
}

func (p *page) paragraphs(texts []string) {
	for i, text := range texts {
		if i > 0 {
			p.line(".PP")
		}
		p.text(text)
	}
}

// text writes a paragraph, with one line of roff for each sentence, as roff prefers.
func (p *page) text(text string) {
	text = strings.ReplaceAll(text, ". ", ".\n")
	for line := range strings.Lines(text) {
		p.line("%s", bold(escape(strings.TrimRight(line, "\n"))))
	}
}

// bold sets text in `backquotes` in bold.
func bold(text string) string {
	parts := strings.Split(text, "`")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = `\fB` + parts[i] + `\fR`
	}
	return strings.Join(parts, "")
}

func (p *page) examples(examples []Example) {
	if len(examples) == 0 {
		return
	}
	p.section("EXAMPLES")
	for i, example := range examples {
		if i > 0 {
			p.line(".PP")
		}
		p.text(example.Text)
		p.line(".PP")
		p.line(".RS 4")
		p.line(".nf")
		for _, line := range example.Lines {
			p.line("%s", escape(line))
		}
		p.line(".fi")
		p.line(".RE")
	}
}

func (p *page) seeAlso(pages []string) {
	if len(pages) == 0 {
		return
	}
	p.section("SEE ALSO")
	for i, name := range pages {
		title, section, _ := strings.Cut(name, "(")
		comma := ","
		if i == len(pages)-1 {
			comma = ""
		}
		p.line(".BR %s (%s%s", escape(title), section, comma)
	}
}

// escape escapes text for roff.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "`", "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// sentence capitalizes the first letter of text and ends it with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	runes := []rune(text)
	// Not a literal, such as wg-quick, or the first word of a list.
	if first, _, _ := strings.Cut(text, " "); strings.ToLower(first) == first && !strings.ContainsAny(first, "0123456789/-_.=,") {
		runes[0] = unicode.ToUpper(runes[0])
	}
	if last := runes[len(runes)-1]; last != '.' && last != ':' && last != '!' && last != '?' {
		runes = append(runes, '.')
	}
	return string(runes)
}
