package top

import (
	"strings"
	"unicode/utf8"

	"wgd/internal/live"
)

// A style is how a text looks: the parameters of the escape sequence SGR.
type style string

const (
	plain   style = ""
	bold    style = "1"
	dim     style = "2"
	reverse style = "7"
	red     style = "31"
	green   style = "32"
	cyan    style = "36"
)

// colour reports whether it is a colour, which a terminal may not have.
func (s style) colour() bool { return len(s) == 2 }

// A span is a text of one style. It can be shown: see clean.
type span struct {
	style style
	text  string
}

// A line is a line of the screen.
type line []span

// add appends a text.
func (l *line) add(s style, text string) { *l = append(*l, span{s, clean(text)}) }

// width is how many columns the line has.
func (l line) width() (n int) {
	for _, s := range l {
		n += utf8.RuneCountInString(s.text)
	}
	return n
}

// padTo appends spaces until the line has so many columns.
func (l *line) padTo(columns int) {
	if n := columns - l.width(); n > 0 {
		*l = append(*l, span{plain, strings.Repeat(" ", n)})
	}
}

// fit returns the line with at most so many columns.
func (l line) fit(columns int) (out line) {
	for _, s := range l {
		n := utf8.RuneCountInString(s.text)
		if n > columns {
			s.text = string([]rune(s.text)[:columns])
		}
		if s.text != "" {
			out = append(out, s)
		}
		columns -= min(n, columns)
	}
	return out
}

// encode returns the line as a terminal needs it.
func (l line) encode(o Options) string {
	var b strings.Builder
	for _, s := range l {
		styled := s.style != plain && (o.Colour || !s.style.colour())
		if styled {
			b.WriteString("\x1b[" + string(s.style) + "m")
		}
		if o.UTF8 {
			b.WriteString(s.text)
		} else {
			b.WriteString(strings.Map(ascii, s.text))
		}
		if styled {
			b.WriteString("\x1b[0m")
		}
	}
	return b.String()
}

// clean replaces whatever a terminal could take for an instruction, and characters that
// need another space than one column. Names and reasons come from others.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r <= '~', r > 0xa0 && r < 0x300 && r != 0xad, strings.ContainsRune(symbols, r):
			return r
		}
		return '?'
	}, text)
}

// The characters that are used beside letters, and their substitutes in ASCII.
const (
	bars        = "▁▂▃▄▅▆▇█"
	symbols     = bars + "…▼▲·"
	substitutes = ".:-=+*#@" + "~v^-"
)

func ascii(r rune) rune {
	if r <= '~' {
		return r
	}
	for i, s := range []rune(symbols) {
		if r == s {
			return rune(substitutes[i])
		}
	}
	return '?'
}

// plot returns the bars of the last values, right-aligned. See live.Levels.
func plot(values []float64, full float64, columns int) string {
	b := []rune(strings.Repeat(" ", max(0, columns-len(values))))
	for _, level := range live.Levels(values, full, utf8.RuneCountInString(bars)) {
		if level == 0 {
			b = append(b, ' ')
		} else {
			b = append(b, []rune(bars)[level-1])
		}
	}
	return string(b)
}

// cut shortens a text to so many columns, and shows that it did.
func cut(text string, columns int) string {
	if r := []rune(text); len(r) > columns {
		return string(r[:max(0, columns-1)]) + "…"
	}
	return text
}

// right aligns a text on the right.
func right(text string, columns int) string {
	return strings.Repeat(" ", max(0, columns-utf8.RuneCountInString(text))) + text
}

// wrap breaks a text into lines of at most so many columns, between words.
func wrap(text string, columns int) (lines []string) {
	current := ""
	for _, word := range strings.Fields(clean(text)) {
		for r := []rune(word); len(r) > columns; r = []rune(word) { // an address, or a key
			if current != "" {
				lines, current = append(lines, current), ""
			}
			lines, word = append(lines, string(r[:columns])), string(r[columns:])
		}
		switch n := utf8.RuneCountInString(current) + 1 + utf8.RuneCountInString(word); {
		case current == "":
			current = word
		case n <= columns:
			current += " " + word
		default:
			lines, current = append(lines, current), word
		}
	}
	return append(lines, current)
}
